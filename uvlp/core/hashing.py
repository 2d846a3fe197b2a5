"""SHA-256 of values and files, and a cache of file hashes."""

from __future__ import annotations

import contextlib
import gc
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
    """Return the hexadecimal SHA-256 of a file's bytes.

    Raises:
        UvlpError: it is not a regular file.
        OSError: it cannot be read.
    """
    check_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """Return the canonical JSON text of ``value``: sorted keys, no whitespace, non-ASCII kept.

    Raises:
        ValueError: ``value`` contains a NaN or an infinity, which JSON cannot express.
        TypeError: ``value`` contains something other than JSON values.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the hexadecimal SHA-256 of ``canonical_json(value)`` in UTF-8."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def write_checked(path: Path, value: Any, *, flushed: bool = False) -> None:
    """Write a JSON value that can be recomputed, preceded by the hash of its text.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    write_utf8(path, f"{_head(text.encode())}{text}{TAIL}", flushed=flushed)


def read_checked(path: Path) -> Any:
    """Return the value that :func:`write_checked` wrote; None if the file is missing or any byte differs."""
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError:
        return None
    text = content[HEAD_BYTES : -len(TAIL)]
    if content != b"%b%b%b" % (_head(text).encode(), text, TAIL.encode()):
        return None
    # Every new list counts towards a collection of garbage, of which there is none: half of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return json.loads(text)
    finally:
        if collecting:
            gc.enable()


TAIL = "}\n"


def _head(text: bytes) -> str:
    return f'{{"sha256":"{hashlib.sha256(text).hexdigest()}","content":'


HEAD_BYTES = len(_head(b""))


def read_hashed(path: Path, sha256: str) -> bytes:
    """Return the bytes of a file, which must be those that were hashed before.

    Raises:
        UvlpError: they have changed.
        OSError: the file cannot be read.
    """
    check_regular(path)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise changed_during_read(path)
    return content


@contextlib.contextmanager
def unchanged_during(root: Path, hashes: Mapping[str, str]) -> Iterator[None]:
    """Guarantee that other code reads the hashed bytes: check the files before and after the block.

    Args:
        root: folder of the files.
        hashes: hexadecimal SHA-256 by name below ``root``.

    Raises:
        UvlpError: a file has other bytes, or was modified before the end of the block.
        OSError: a file cannot be read.
    """
    before = {name: fingerprint(os.stat(root / name)) for name in hashes}
    for name, sha256 in hashes.items():
        if file_sha256(root / name) != sha256:
            raise changed_during_read(root / name)
    yield
    for name, earlier in before.items():
        if fingerprint(os.stat(root / name)) != earlier:
            raise changed_during_read(root / name)


def changed_during_read(path: Path) -> UvlpError:
    """Return the error for a file that no longer has the hash that is part of a key."""
    return UvlpError(
        "a file changed while it was read",
        got=str(path),
        fix="re-run the command; nothing was stored from this file",
    )


def fingerprint(status: os.stat_result) -> tuple[int, int, int, int]:
    """Return size, times and inode of a file."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


class HashCache:
    """SHA-256 of files, cached by size, times and inode in one JSON file.

    The time of the last status change is included because it cannot be set back: a file that
    was overwritten in place and given its old modification time is read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = read_records(path, 5)
        self._changed = False

    def sha256(self, file: Path, look: Callable[[Path], None] | None = None) -> str:
        """Return the hash of ``file``, which is read only if it changed since it was cached.

        Args:
            look: called with a file that is about to be read; its exceptions propagate.

        Raises:
            OSError: the file cannot be read.
        """
        status = file.stat()
        current = list(fingerprint(status))
        known = self._known.get(str(file))
        if known is not None and known[:-1] == current:
            return str(known[-1])
        if look is not None:
            look(file)
        started_ns = time.time_ns()
        sha256 = file_sha256(file)
        if started_ns - status.st_ctime_ns > CLOCK_TICK_NS:
            self._known[str(file)] = [*current, sha256]
            self._changed = True
        return sha256

    def save(self) -> None:
        """Write the cache if it changed.

        Raises:
            OSError: the file cannot be written.
        """
        if self._changed:
            write_checked(self._path, self._known)
            self._changed = False


def read_records(path: Path, fields: int) -> dict[str, list[Any]]:
    """Return cached records, lists of ``fields`` values by name; empty if the file is missing or damaged.

    Lost records are recomputed.
    """
    known = read_checked(path)
    if not isinstance(known, dict):
        return {}
    return {name: entry for name, entry in known.items() if isinstance(entry, list) and len(entry) == fields}
