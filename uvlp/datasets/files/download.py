"""Download a file, resuming an earlier attempt."""

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
CONNECTION_ERRORS = (
    *(urllib.error.URLError, http.client.HTTPException),
    *(ssl.SSLError, ConnectionError, TimeoutError),
)


def download(url: str, target: Path, progress: Progress, *, at_most: int = sys.maxsize) -> None:
    """Download ``url`` to ``target``, which is either complete or absent.

    A partial download is kept as ``<target>.uvlp-part``, and the next attempt requests the remaining bytes; a
    server without range requests sends everything again. After a lost connection the download is retried as
    long as each attempt receives more bytes.

    Args:
        at_most: size limit in bytes; the download stops when the server sends more.

    Raises:
        UvlpError: the server returns an error or sends too much, or nothing more arrives.
        OSError: the file cannot be written.
    """
    part = part_of(target)
    while True:
        before = _size(part)
        try:
            if _attempt(url, part, progress, at_most):
                break
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            error.close()
            raise _failed(url, part, f"HTTP status {error.code}, {error.reason}") from error
        except CONNECTION_ERRORS as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        if _size(part) <= before:
            raise _failed(url, part, reason)
    os.replace(part, target)


def part_of(target: Path) -> Path:
    """Path of the partial download; browsers use other suffixes."""
    return target.with_name(f"{target.name}.uvlp-part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _failed(url: str, part: Path, reason: str) -> UvlpError:
    kept = f"; {_size(part):,} bytes are kept" if part.exists() else ""
    return UvlpError(
        f"cannot download {url}",
        got=reason,
        fix=f"re-run the command to resume{kept}, or copy the file to {part.with_suffix('')} yourself",
    )


def _attempt(url: str, part: Path, progress: Progress, at_most: int) -> bool:
    """Request the missing bytes and append them; return whether the file is complete."""
    received = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "uvlp"})
    if received:
        request.add_header("Range", f"bytes={received}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not received:
            raise
        error.close()
        if error.headers.get("Content-Range", "").endswith(f"/{received}"):
            return True
        part.unlink()  # longer than the file: from another version of it
        return _attempt(url, part, progress, at_most)
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        length = _length(response)
        label = f"download {part.stem}, MB"
        blocks = progress.track(_blocks(response), label, total=-(-length // BLOCK_BYTES))
        with part.open("ab" if resumed else "wb") as file:
            for block in blocks:
                file.write(block)
                _check_size(url, part, file.tell(), at_most)
    return not length or _size(part) == length + received * resumed


def _check_size(url: str, part: Path, received: int, at_most: int) -> None:
    if received > at_most:
        part.unlink()
        raise UvlpError(
            f"{url} sends far more data than the expected file",
            got=f"more than {byte_size(at_most)}",
            fix="try again later, or copy the file there yourself",
        )


def _length(response: http.client.HTTPResponse) -> int:
    """The announced Content-Length; 0 if it is missing or invalid."""
    text = response.headers.get("Content-Length") or ""
    return int(text) if re.fullmatch("[0-9]{1,18}", text.strip()) else 0


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while block := response.read(BLOCK_BYTES):
            yield block
    except OSError as error:  # a lost route; errors of the disk are raised elsewhere
        raise ConnectionError(str(error)) from error
