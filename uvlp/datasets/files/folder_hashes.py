"""SHA-256 of files, remembered per file, or of groups of files, remembered in one record per group.

A group's record holds a digest over names, sizes, times and inodes of its files, so that a change costs the
reading of one class, and the hash of every file, with which its bytes are compared whenever they are read: a
million images cost a record of 45 MB.
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
Look = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Hashed:
    """A group of files.

    Attributes:
        content: hexadecimal, over names and contents.
        files: the 32 bytes of each file, one after the other, in the order of the group.
    """

    content: str
    files: bytes


def sha256_of(files: bytes, index: int) -> str:
    """The hexadecimal hash at a position of `Hashed.files`, or of several of them joined."""
    return files[HASH_BYTES * index : HASH_BYTES * (index + 1)].hex()


def hash_groups(
    root: Path,
    groups: Mapping[str, Mapping[str, str]],
    cache: Path,
    progress: Progress,
    look: Look | None = None,
) -> dict[str, Hashed]:
    """The hashes of every group of files.

    Groups that ``cache`` knows as they now stand are not read. What was hashed before an interruption is
    kept.

    Args:
        root: folder of the files.
        groups: by group, the path below ``root`` by name.
        cache: folder for the records.
        look: called with every file that is about to be read; what it raises is passed on.

    Raises:
        UvlpError: a file cannot be read.
    """
    records = _Records(cache / f"groups-{hashing.digest(str(root))[:16]}.json")
    try:
        states = {name: _state(root, files) for name, files in groups.items()}
        unknown = [name for name in groups if records.known.get(name, [""])[0] != states[name][0]]
        started_ns = time.time_ns()
        paths = [root / path for name in unknown for path in groups[name].values()]
        hashes = _hashed(paths, progress, look)
        for name in unknown:
            rows = [[file, next(hashes)] for file in groups[name]]
            files = b"".join(bytes.fromhex(sha256) for _, sha256 in rows)
            record = [states[name][0], hashing.digest(rows), base64.b64encode(files).decode()]
            records.learn(name, record, started_ns - states[name][1])
        next(hashes, None)  # lets the progress reach its end
    except OSError as error:
        raise UvlpError(f"cannot read {error.filename}", got=error.strerror) from error
    finally:
        records.save()
    found = {name: records.found.get(name) or records.known[name] for name in groups}
    return {name: Hashed(content, base64.b64decode(files)) for name, (_, content, files) in found.items()}


def hash_files(
    root: Path, files: Sequence[str], cache: Path, progress: Progress, look: Look | None = None
) -> list[str]:
    """SHA-256 of files below ``root``; those that ``cache`` knows as they now stand are not read.

    Args:
        look: called with every file that is about to be read; what it raises is passed on.

    Raises:
        UvlpError: a file cannot be read.
    """
    hashes = hashing.HashCache(cache / f"hashes-{hashing.digest(str(root))[:16]}.json")
    try:
        return [hashes.sha256(root / name, look) for name in progress.track(files, "hash files")]
    except OSError as error:
        raise UvlpError(f"cannot read {error.filename}", got=error.strerror) from error
    finally:
        # What cannot be remembered costs time only.
        with contextlib.suppress(OSError):
            hashes.save()


def _hashed(paths: Sequence[Path], progress: Progress, look: Look | None) -> Iterator[str]:
    def work(path: Path) -> str:
        if look is not None:
            look(path)
        return hashing.file_sha256(path)

    if paths:
        yield from progress.track(in_order(work, paths), "hash files", total=len(paths))


def _state(root: Path, files: Mapping[str, str]) -> tuple[str, int]:
    """Digest of everything that changes when a file does, and the time of the newest change in ns."""
    digest, newest_ns = hashlib.sha256(), 0
    for name, path in files.items():
        status = os.stat(f"{root}/{path}")
        check_size(root / path, "file", status.st_size, LONGEST_TEXT_BYTES)
        mark = (path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        # The name in another Unicode form than the path's gives another digest of the same files.
        digest.update(repr(mark if path.isascii() else (*mark, name)).encode())
        newest_ns = max(newest_ns, status.st_ctime_ns)
    return digest.hexdigest(), newest_ns


class _Records:
    """State and content hash by group, in one JSON file that can always be made again."""

    def __init__(self, path: Path) -> None:
        self._path, self._changed, self._saved = path, False, time.monotonic()
        self.known = hashing.read_records(path, 3)
        self.found: dict[str, list[str]] = {}

    def learn(self, name: str, record: list[str], age_ns: int) -> None:
        """Take over what was hashed; a file younger than a tick of the clock may change unseen."""
        self.found[name] = record
        if age_ns > hashing.CLOCK_TICK_NS:
            self.known[name], self._changed = record, True
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write what was learnt; what cannot be remembered costs time only."""
        if self._changed:
            with contextlib.suppress(OSError):
                hashing.write_checked(self._path, self.known)
        self._changed, self._saved = False, time.monotonic()
