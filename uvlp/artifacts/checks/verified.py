"""Verification of finished artifacts.

The manifest is compared with the folder and with its own key, every file with its hash in the manifest, and
numbers with those they are computed from. Intact artifacts are cached by size, times and inode of every file,
so that the next verification does not read them.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Any

from uvlp.artifacts.checks.contradictions import contradiction
from uvlp.artifacts.checks.kinds import missing_pattern
from uvlp.artifacts.task import MANIFEST, key_of, read_manifest
from uvlp.core.hashing import CLOCK_TICK_NS, file_sha256, fingerprint, read_checked, write_checked

Files = dict[str, list[Any]]
"""Size, times, inode and SHA-256 by file name."""


class Verified:
    """Verifies the artifacts below ``root``.

    Args:
        root: the store.
        path: the cache file.

    Attributes:
        fresh: artifacts that were verified for the first time.
    """

    def __init__(self, root: Path, path: Path) -> None:
        self._root, self._path, self._changed = root, path, False
        cached = read_checked(path)
        self._known: dict[str, Files] = cached if isinstance(cached, dict) else {}
        self.fresh: set[str] = set()

    def damage(self, name: str) -> str | None:
        """Return the first damaged file of the artifact ``kind/key`` and what is wrong; None if intact.

        Raises:
            OSError: a file exists but cannot be read.
        """
        if self._is_known(name):
            return None
        folder = self._root / name
        started_ns = time.time_ns()
        content, wrong = _read_manifest(folder, name)
        if wrong:
            return wrong
        files: Files = {}
        for file, sha256 in {MANIFEST: "", **content["files"]}.items():
            current = _fingerprint(folder / file)
            if current is None or (sha256 and file_sha256(folder / file) != sha256):
                return file
            files[file] = [*current, sha256]
        wrong = contradiction(folder, content)
        if wrong is None and all(started_ns - entry[2] > CLOCK_TICK_NS for entry in files.values()):
            self._known[name], self._changed = files, True
            self.fresh.add(name)
        return wrong

    def _is_known(self, name: str) -> bool:
        """Return whether the artifact is cached and all its files are as they were: one call of stat each."""
        known = self._known.get(name)
        if not known:
            return False
        folder = f"{self._root}/{name}/"
        try:
            for file, entry in known.items():
                status = os.stat(folder + file)
                if not stat.S_ISREG(status.st_mode) or [*fingerprint(status)] != entry[:-1]:
                    return False
        except (OSError, ValueError):
            return False  # and `damage` finds out why
        return True

    def checked_sha256(self, name: str, file: str) -> tuple[str | None, str | None]:
        """Return the damage of an artifact, and if it is intact the hash of one of its files.

        Raises:
            OSError: see :meth:`damage`.
        """
        if self._is_known(name):
            known = self._known[name]
            return None, str(known[file][-1]) if file in known else None
        wrong = self.damage(name)
        return wrong, None if wrong else self.sha256(name, file)

    def sha256(self, name: str, file: str) -> str | None:
        """Return the hash of an artifact's file from its manifest; None if there is none."""
        known = self._known.get(name)
        if known and _fingerprint(self._root / name / MANIFEST) == known[MANIFEST][:-1]:
            return str(known[file][-1]) if file in known else None
        try:
            return str(read_manifest(self._root / name)["files"][file])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self) -> None:
        """Write the cache of intact artifacts, so that the next run need not read them.

        Raises:
            OSError: it cannot be written.
        """
        if self._changed:
            write_checked(self._path, self._known)
            self._changed = False


def _fingerprint(path: Path) -> list[int] | None:
    """Return size, times and inode of a file; None if there is none."""
    try:
        return list(fingerprint(os.stat(path))) if path.is_file() else None
    except FileNotFoundError:
        return None


def _read_manifest(folder: Path, name: str) -> tuple[dict[str, Any], str | None]:
    """Return the manifest of the artifact ``kind/key``, and what is wrong with it."""
    try:
        content = read_manifest(folder)
        files = content["files"]
        own_name = f"{content['kind']}/{content['key']}"
        valid = isinstance(files, dict) and all(map(_is_inside, files)) and all(map(_is_hash, files.values()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}, MANIFEST
    if not valid or not files:
        return {}, f"{MANIFEST} (it lists no files)" if valid else MANIFEST
    if own_name != name:
        return {}, f"{MANIFEST} (it belongs to {own_name})"
    if key_of(content) not in (content["key"], None):
        return {}, f"{MANIFEST} (its key does not match its content)"
    missing = missing_pattern(content["kind"], files)
    return content, f"{MANIFEST} (it does not list {missing})" if missing else None


def _is_inside(name: str) -> bool:
    return bool(name) and not name.startswith("/") and ".." not in name.split("/")


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64
