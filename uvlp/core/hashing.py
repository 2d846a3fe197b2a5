"""SHA-256 of values and of files, and a memory of files that need not be read twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import check_regular
from uvlp.core.files.writing import write_utf8

# Two writes within one tick of the kernel's clock leave the same times (10 ms at 100 Hz).
CLOCK_TICK_NS = 20_000_000


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes.

    Raises:
        UvlpError: it is no regular file.
        OSError: it cannot be read.
    """
    check_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """The one JSON text of ``value``: sorted keys, no blanks, non-ASCII kept.

    Raises:
        ValueError: ``value`` holds a NaN or an infinity, which JSON cannot express.
        TypeError: ``value`` holds something else than JSON values.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Hexadecimal SHA-256 of ``canonical_json(value)`` in UTF-8."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def write_checked(path: Path, value: Any, *, flushed: bool = False) -> None:
    """Keep a JSON value that can be made again, with the hash of its text in front of it.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    write_utf8(path, f"{_head(text.encode())}{text}{TAIL}", flushed=flushed)


def read_checked(path: Path) -> Any:
    """The value that :func:`write_checked` kept; None if it is not there, or a byte of it is another one."""
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError:
        return None
    text = content[HEAD_BYTES : -len(TAIL)]
    if content != b"%b%b%b" % (_head(text).encode(), text, TAIL.encode()):
        return None
    return json.loads(text)


TAIL = "}\n"


def _head(text: bytes) -> str:
    return f'{{"sha256":"{hashlib.sha256(text).hexdigest()}","content":'


HEAD_BYTES = len(_head(b""))


def read_hashed(path: Path, sha256: str) -> bytes:
    """The bytes of a file, which must be those that were hashed before.

    Raises:
        UvlpError: they are others.
        OSError: the file cannot be read.
    """
    check_regular(path)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise changed_meanwhile(path)
    return content


@contextlib.contextmanager
def held_still(root: Path, hashes: Mapping[str, str]) -> Iterator[None]:
    """What is read inside is what was hashed, where other code opens the files.

    Args:
        root: folder of the files.
        hashes: hexadecimal SHA-256 by name below ``root``.

    Raises:
        UvlpError: a file has other bytes, or was touched before the end.
        OSError: a file cannot be read.
    """
    before = {name: mark(os.stat(root / name)) for name in hashes}
    for name, sha256 in hashes.items():
        if file_sha256(root / name) != sha256:
            raise changed_meanwhile(root / name)
    yield
    for name, found in before.items():
        if mark(os.stat(root / name)) != found:
            raise changed_meanwhile(root / name)


def changed_meanwhile(path: Path) -> UvlpError:
    """The error for a file that is no longer the one whose hash is part of a key."""
    return UvlpError(
        "changed while it was read",
        got=str(path),
        fix="run the same command again; nothing was stored of it",
    )


def mark(status: os.stat_result) -> tuple[int, int, int, int]:
    """Size, times and inode; the time of the last status change cannot be set back."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


class HashCache:
    """SHA-256 per file, remembered by size, times and inode in one JSON file.

    The time of the last status change is part of it, because it cannot be set back: a file that
    was overwritten in place and given its old date is read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = read_records(path, 5)
        self._changed = False

    def sha256(self, file: Path, look: Callable[[Path], None] | None = None) -> str:
        """Hash of ``file``, read only if it is not known as it now stands.

        Args:
            look: called with a file that is about to be read; what it raises is passed on.

        Raises:
            OSError: the file cannot be read.
        """
        status = file.stat()
        found = list(mark(status))
        known = self._known.get(str(file))
        if known is not None and known[:-1] == found:
            return str(known[-1])
        if look is not None:
            look(file)
        started_ns = time.time_ns()
        sha256 = file_sha256(file)
        if started_ns - status.st_ctime_ns > CLOCK_TICK_NS:
            self._known[str(file)] = [*found, sha256]
            self._changed = True
        return sha256

    def save(self) -> None:
        """Write what was learnt, if anything was.

        Raises:
            OSError: the file cannot be written.
        """
        if self._changed:
            write_checked(self._path, self._known)
            self._changed = False


def read_records(path: Path, fields: int) -> dict[str, list[Any]]:
    """Remembered hashes, lists of ``fields`` values by name; none if the file is not there or damaged.

    What is lost can be made again.
    """
    known = read_checked(path)
    if not isinstance(known, dict):
        return {}
    return {name: entry for name, entry in known.items() if isinstance(entry, list) and len(entry) == fields}
