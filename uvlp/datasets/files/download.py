"""One file from the network, gone on with where an earlier attempt broke off."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.wording import byte_size

BLOCK_BYTES = 1 << 20
TIMEOUT_S = 60.0
BROKEN = (
    *(urllib.error.URLError, http.client.HTTPException),
    *(ssl.SSLError, ConnectionError, TimeoutError),
)


def download(url: str, target: Path, progress: Progress, *, at_most: int = sys.maxsize) -> None:
    """Write the file behind ``url`` to ``target``, which is whole or not there.

    What has arrived lies in ``<target>.uvlp-part``, and the next attempt asks the server for the rest; a
    server that cannot give a rest sends all again. After a broken connection this goes on by itself as long
    as every attempt brings something.

    Args:
        at_most: bytes that the file can have; a server that sends more is not heard to its end.

    Raises:
        UvlpError: the server refuses, sends too much, or nothing more arrives.
        OSError: the disk refuses.
    """
    part = part_of(target)
    while True:
        before = _size(part)
        try:
            if _attempt(url, part, progress, at_most):
                break
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            raise _broken(url, part, f"HTTP status {error.code}, {error.reason}") from error
        except BROKEN as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        if _size(part) <= before:
            raise _broken(url, part, reason)
    os.replace(part, target)


def part_of(target: Path) -> Path:
    """Where a file that has not arrived as a whole lies; browsers name theirs otherwise."""
    return target.with_name(f"{target.name}.uvlp-part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _broken(url: str, part: Path, reason: str) -> UvlpError:
    kept = f"; {_size(part):,} bytes are kept" if part.exists() else ""
    return UvlpError(
        f"cannot download {url}",
        got=reason,
        fix=f"say the same again to go on{kept}, or put the file there yourself as {part.with_suffix('')}",
    )


def _attempt(url: str, part: Path, progress: Progress, at_most: int) -> bool:
    """Ask for what is missing and append it; whether all of it came."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "uvlp"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        error.close()
        if error.headers.get("Content-Range", "").endswith(f"/{have}"):
            return True
        part.unlink()  # longer than the file: of another version
        return _attempt(url, part, progress, at_most)
    with answer:
        rest = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        length = _length(answer)
        what = f"download {part.stem}, MB"
        blocks = progress.track(_blocks(answer), what, total=-(-length // BLOCK_BYTES))
        with part.open("ab" if rest else "wb") as file:
            for block in blocks:
                file.write(block)
                _check_room(url, part, file.tell(), at_most)
    return not length or _size(part) == length + have * rest


def _check_room(url: str, part: Path, have: int, at_most: int) -> None:
    if have > at_most:
        part.unlink()
        raise UvlpError(
            f"{url} sends far more than the file that is wanted",
            got=f"more than {byte_size(at_most)}",
            fix="try again later, or put the file there yourself",
        )


def _length(answer: http.client.HTTPResponse) -> int:
    """Bytes that the server announces; 0 where it announces none, or nonsense."""
    text = answer.headers.get("Content-Length") or ""
    return int(text) if re.fullmatch("[0-9]{1,18}", text.strip()) else 0


def _blocks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while block := answer.read(BLOCK_BYTES):
            yield block
    except OSError as error:  # a route that is gone, as against a disk that refuses
        raise ConnectionError(str(error)) from error
