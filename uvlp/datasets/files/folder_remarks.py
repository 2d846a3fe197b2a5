"""Count files in image folders that are not images of a class, for one note of each kind."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator

from uvlp.core.wording import first_few

FOLDERS = frozenset(
    name.casefold()
    for name in (
        *("@eaDir", "#recycle", "#snapshot", "@tmp", "@Recycle", "@Recently-Snapshot"),  # Synology, QNAP
        *("__MACOSX", "Network Trash Folder", "Temporary Items"),  # archives and shares of a Mac
        *(
            "$RECYCLE.BIN",
            "System Volume Information",
            "LOST.DIR",
            "lost+found",
            "found.000",
        ),  # Windows, Android, ext4
        *("__pycache__", "_gsdata_"),
    )
)
"""Folders that operating systems create; hidden ones are recognised by their dot."""
FILES = frozenset(
    (
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "picasa.ini",
        "zbthumbnail.info",
        "icon\r",
    )
)
"""Files that operating systems and programs create, in lower case."""
PREFIXES = ("~$", "thumbs.db:")
SUFFIXES = (".tmp", "~", ".part", ".partial", ".crdownload", "@synoresource", "@synoeastream")


def is_leftover(name: str, folder: bool) -> bool:
    """Return whether an entry of that name is hidden or left behind by an operating system."""
    if name.startswith("."):
        return True
    folded = name.casefold()
    if folder:
        return folded in FOLDERS
    return folded in FILES or folded.startswith(PREFIXES) or folded.endswith(SUFFIXES)


class Remarks:
    """Counts of entries that a scan skipped or found in an unusual folder.

    Attributes:
        other_files: files in class folders without an image extension, with their folders.
    """

    def __init__(self) -> None:
        self._leftovers: Counter[str] = Counter()
        self._nested: list[str] = []
        self.other_files: list[str] = []

    def leave_out(self, entry: os.DirEntry[str]) -> None:
        """Count a hidden file or folder, or one left behind by an operating system."""
        # Names may contain a newline (icons of macOS) or unprintable surrogates.
        self._leftovers[entry.name.strip().encode(errors="replace").decode()] += _files(entry)

    def nested(self, names: Iterable[str]) -> None:
        """Add images in a folder below their class folder."""
        self._nested.extend(names)

    def others(self, names: Iterable[str]) -> None:
        """Add files in class folders without an image extension."""
        self.other_files.extend(names)

    def notes(self) -> Iterator[str]:
        """One line per kind."""
        if skipped := self._leftovers.total():
            names = sorted(self._leftovers, key=_rank)
            what = "1 file was" if skipped == 1 else f"{skipped} files were"
            yield f"{what} skipped, hidden or left behind by an operating system: {first_few(names)}"
        if self._nested:
            images, their = (
                ("1 image is", "its")
                if len(self._nested) == 1
                else (f"{len(self._nested)} images are", "their")
            )
            yield f"{images} in a folder below {their} class folder: {first_few(self._nested)}"


def others_note(count: int) -> list[str]:
    """A note on files in class folders that are neither images nor captions; empty for none."""
    return [f"{count} files without an image extension are not used"] if count else []


def _rank(name: str) -> tuple[bool, str]:
    """Sorts system folders before hidden files, which every Mac leaves behind."""
    return name.startswith("."), name


def _files(entry: os.DirEntry[str]) -> int:
    """The number of files in a folder at any depth, 1 for a file; unreadable folders are not counted."""
    if not entry.is_dir(follow_symlinks=False):
        return 1
    return sum(len(files) for _, _, files in os.walk(entry.path))
