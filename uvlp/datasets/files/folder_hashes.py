"""SHA-256 of files, cached per file, or of groups of files, cached in one record per group.

A group's record has a digest over names, sizes, times and inodes of its files, so that after a change only
one class is read again, and the hash of every file, to verify its bytes whenever they are read. The records
of a million images take 45 MB.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uvlp.core import hashing
from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import LONGEST_TEXT_BYTES, check_size
from uvlp.core.prefetch import in_order
from uvlp.core.progress import Progress

SAVE_EVERY_S = 20.0
HASH_BYTES = 32
Check = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Hashed:
    """A group of files.

    Attributes:
        content: hexadecimal hash over names and contents.
        files: the 32-byte hashes of the files, concatenated in the order of the group.
    """

    content: str
    files: bytes


def sha256_of(files: bytes, index: int) -> str:
    """The hexadecimal hash at an index of `Hashed.files`, or of several of them concatenated."""
    return files[HASH_BYTES * index : HASH_BYTES * (index + 1)].hex()


def hash_groups(
    root: Path,
    groups: Mapping[str, Mapping[str, str]],
    cache: Path,
    progress: Progress,
    check: Check | None = None,
) -> dict[str, Hashed]:
    """Hash every group of files.

    Groups that are unchanged since they were cached are not read. Hashes from before an interruption are
    kept.

    Args:
        root: folder of the files.
        groups: for each group, the path below ``root`` by name.
        cache: folder for the records.
        check: called with every file before it is read; its exceptions propagate.

    Raises:
        UvlpError: a file cannot be read.
    """
    records = _Records(cache / f"groups-{hashing.digest(str(root))[:16]}.json")
    try:
        states = {name: _state(root, files) for name, files in groups.items()}
        unknown = [name for name in groups if records.known.get(name, [""])[0] != states[name][0]]
        started_ns = time.time_ns()
        paths = [root / path for name in unknown for path in groups[name].values()]
        hashes = _hashed(paths, progress, check)
        for name in unknown:
            rows = [[file, next(hashes)] for file in groups[name]]
            files = b"".join(bytes.fromhex(sha256) for _, sha256 in rows)
            record = [states[name][0], hashing.digest(rows), base64.b64encode(files).decode()]
            records.add(name, record, started_ns - states[name][1])
        next(hashes, None)  # finishes the progress bar
    except OSError as error:
        raise UvlpError(f"cannot read {error.filename}", got=error.strerror) from error
    finally:
        records.save()
    every = {name: records.new.get(name) or records.known[name] for name in groups}
    return {name: Hashed(content, base64.b64decode(files)) for name, (_, content, files) in every.items()}


def hash_files(
    root: Path, files: Sequence[str], cache: Path, progress: Progress, check: Check | None = None
) -> list[str]:
    """SHA-256 of files below ``root``; files that are unchanged since they were cached are not read.

    Args:
        check: called with every file before it is read; its exceptions propagate.

    Raises:
        UvlpError: a file cannot be read.
    """
    hashes = hashing.HashCache(cache / f"hashes-{hashing.digest(str(root))[:16]}.json")
    try:
        return [hashes.sha256(root / name, check) for name in progress.track(files, "hash files")]
    except OSError as error:
        raise UvlpError(f"cannot read {error.filename}", got=error.strerror) from error
    finally:
        # A cache that cannot be written only costs time.
        with contextlib.suppress(OSError):
            hashes.save()


def _hashed(paths: Sequence[Path], progress: Progress, check: Check | None) -> Iterator[str]:
    def work(path: Path) -> str:
        if check is not None:
            check(path)
        return hashing.file_sha256(path)

    if paths:
        yield from progress.track(in_order(work, paths), "hash files", total=len(paths))


def _state(root: Path, files: Mapping[str, str]) -> tuple[str, int]:
    """Digest of all metadata that changes with a file, and the time of the latest change in ns."""
    digest, newest_ns = hashlib.sha256(), 0
    for name, path in files.items():
        status = os.stat(f"{root}/{path}")
        check_size(root / path, "file", status.st_size, LONGEST_TEXT_BYTES)
        stamp = (path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        # A name in a different Unicode form than the path gives the same files a different digest.
        digest.update(repr(stamp if path.isascii() else (*stamp, name)).encode())
        newest_ns = max(newest_ns, status.st_ctime_ns)
    return digest.hexdigest(), newest_ns


class _Records:
    """State and content hash by group, in a JSON file that can always be rebuilt."""

    def __init__(self, path: Path) -> None:
        self._path, self._changed, self._saved = path, False, time.monotonic()
        self.known = hashing.read_records(path, 3)
        self.new: dict[str, list[str]] = {}

    def add(self, name: str, record: list[str], age_ns: int) -> None:
        """Add a record; it is not cached if a file is newer than a clock tick and may change unnoticed."""
        self.new[name] = record
        if age_ns > hashing.CLOCK_TICK_NS:
            self.known[name], self._changed = record, True
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write the new records; a cache that cannot be written only costs time."""
        if self._changed:
            with contextlib.suppress(OSError):
                hashing.write_checked(self._path, self.known)
        self._changed, self._saved = False, time.monotonic()
