"""Is a finished artifact what the name of its folder says, and is it whole?

Compared are its manifest with the folder and with the manifest's own key, every file with the hash that the
manifest lists, and numbers with what they are computed from. What was found whole is remembered by size,
times and inode of every file, so that the next look reads none of them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from uvlp.artifacts.checks.contradictions import contradiction
from uvlp.artifacts.checks.kinds import lacking
from uvlp.artifacts.task import MANIFEST, key_of, read_manifest
from uvlp.core.hashing import CLOCK_TICK_NS, file_sha256, fingerprint, read_checked, write_checked

Files = dict[str, list[Any]]
"""By name of a file: size, times, inode, SHA-256."""


class Verified:
    """What is known of the artifacts below ``root``.

    Args:
        root: the store.
        path: of the file that remembers.

    Attributes:
        fresh: what was looked at for the first time.
    """

    def __init__(self, root: Path, path: Path) -> None:
        self._root, self._path, self._changed = root, path, False
        found = read_checked(path)
        self._known: dict[str, Files] = found if isinstance(found, dict) else {}
        self.fresh: set[str] = set()

    def damage(self, name: str) -> str | None:
        """The first file of the artifact ``kind/key`` that is not as made, and what is wrong; else None.

        Raises:
            OSError: a file is there and cannot be read.
        """
        folder = self._root / name
        known = self._known.get(name)
        if known and all(_marks(folder / file) == entry[:-1] for file, entry in known.items()):
            return None
        started_ns = time.time_ns()
        content, wrong = _read_manifest(folder, name)
        if wrong:
            return wrong
        files: Files = {}
        for file, sha256 in {MANIFEST: "", **content["files"]}.items():
            marks = _marks(folder / file)
            if marks is None or (sha256 and file_sha256(folder / file) != sha256):
                return file
            files[file] = [*marks, sha256]
        wrong = contradiction(folder, content)
        if wrong is None and all(started_ns - entry[2] > CLOCK_TICK_NS for entry in files.values()):
            self._known[name], self._changed = files, True
            self.fresh.add(name)
        return wrong

    def sha256(self, name: str, file: str) -> str | None:
        """Hash of a file of an artifact, as its manifest lists it; None where there is none."""
        known = self._known.get(name)
        if known and _marks(self._root / name / MANIFEST) == known[MANIFEST][:-1]:
            return str(known[file][-1]) if file in known else None
        try:
            return str(read_manifest(self._root / name)["files"][file])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self) -> None:
        """Remember what was found whole, so that the next run need not read it.

        Raises:
            OSError: it cannot be written.
        """
        if self._changed:
            write_checked(self._path, self._known)
            self._changed = False


def _marks(path: Path) -> list[int] | None:
    """Size, times and inode of a file; None where there is none."""
    try:
        return list(fingerprint(os.stat(path))) if path.is_file() else None
    except FileNotFoundError:
        return None


def _read_manifest(folder: Path, name: str) -> tuple[dict[str, Any], str | None]:
    """The manifest of the artifact ``kind/key``, and what is wrong with it."""
    try:
        content = read_manifest(folder)
        files = content["files"]
        place = f"{content['kind']}/{content['key']}"
        good = isinstance(files, dict) and all(map(_is_inside, files)) and all(map(_is_hash, files.values()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}, MANIFEST
    if not good or not files:
        return {}, f"{MANIFEST} (it lists no files)" if good else MANIFEST
    if place != name:
        return {}, f"{MANIFEST} (it is the one of {place})"
    if key_of(content) not in (content["key"], None):
        return {}, f"{MANIFEST} (its key does not belong to what it says)"
    missing = lacking(content["kind"], files)
    return content, f"{MANIFEST} (it does not list {missing})" if missing else None


def _is_inside(name: str) -> bool:
    return bool(name) and not name.startswith("/") and ".." not in name.split("/")


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64
