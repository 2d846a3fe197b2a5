"""Archives of image folders: unpacked into the store's cache once, under the hash of their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files.os_errors import explain_os_errors
from uvlp.core.hashing import file_sha256
from uvlp.core.progress import Progress, print_message
from uvlp.datasets.files.folder_scan import visible_entries
from uvlp.datasets.files.unpack import unpack_all

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
LARGEST_BYTES = 8 * 10**9
"""The most that an archive may unpack to."""
FOLDER = "archives"
KEY_DIGITS = 16


def unpacked(paths: Mapping[str, Path], cache: Path) -> dict[str, Path]:
    """Return the folders of the archives among ``paths``; each is unpacked unless it was before.

    Args:
        paths: resolved paths by the texts that the user gave.
        cache: of the store.

    Raises:
        UvlpError: a link, a path that leaves the archive, a damaged file, or more than `LARGEST_BYTES`.
    """
    archives = {text: path for text, path in paths.items() if _is_archive(path)}
    return {text: _folder(path, cache / FOLDER, text) for text, path in archives.items()}


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def _folder(path: Path, cache: Path, text: str) -> Path:
    try:
        target = cache / file_sha256(path)[:KEY_DIGITS]
    except OSError as error:
        raise UvlpError(f"cannot read the archive {path}", got=error.strerror or str(error)) from error
    if not target.is_dir():
        with explain_os_errors(cache, "cannot unpack an archive", "free some space, or use another store"):
            cache.mkdir(parents=True, exist_ok=True)
            unpack_all(path, target, Progress(print_message, text), at_most=LARGEST_BYTES)
    return _inner(target)


def _inner(folder: Path) -> Path:
    """Return the folder around the class folders: archives often have one at their top."""
    entries = list(visible_entries(folder))
    if len(entries) != 1 or not entries[0].is_dir():
        return folder
    inside = folder / entries[0].name
    return inside if any(entry.is_dir() for entry in visible_entries(inside)) else folder
