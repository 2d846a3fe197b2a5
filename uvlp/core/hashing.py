"""SHA-256 of values and of files, and a memory of files that need not be read twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

# Two writes within one tick of the kernel's clock leave the same times (10 ms at 100 Hz).
CLOCK_TICK_NS = 20_000_000


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
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


def write_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 file that is either whole or not there, whoever else writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            # mkstemp is private to its owner; a shared store is not.
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


class HashCache:
    """SHA-256 per file, remembered by size, times and inode in one JSON file.

    The time of the last status change is part of it, because it cannot be set back: a file that
    was overwritten in place and given its old date is read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = read_records(path, 5)
        self._changed = False

    def sha256(self, file: Path) -> str:
        """Hash of ``file``, read only if it is not known as it now stands.

        Raises:
            OSError: the file cannot be read.
        """
        status = file.stat()
        mark = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        known = self._known.get(str(file))
        if known is not None and known[:-1] == mark:
            return str(known[-1])
        started_ns = time.time_ns()
        sha256 = file_sha256(file)
        if started_ns - status.st_ctime_ns > CLOCK_TICK_NS:
            self._known[str(file)] = [*mark, sha256]
            self._changed = True
        return sha256

    def save(self) -> None:
        """Write what was learnt, if anything was.

        Raises:
            OSError: the file cannot be written.
        """
        if self._changed:
            write_atomically(self._path, json.dumps(self._known, separators=(",", ":")))
            self._changed = False


def read_records(path: Path, fields: int) -> dict[str, list[Any]]:
    """Remembered hashes, lists of ``fields`` values by name; none if the file is not there or damaged.

    What is lost can be made again.
    """
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: entry for name, entry in known.items() if isinstance(entry, list) and len(entry) == fields}
