"""What lies in image folders without being an image of a class, counted for one note of each kind."""

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
"""Folders that systems make; hidden ones need no name here."""
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
"""Files that systems and programs make, in small letters."""
BEGINNINGS = ("~$", "thumbs.db:")
ENDINGS = (".tmp", "~", ".part", ".partial", ".crdownload", "@synoresource", "@synoeastream")


def is_leftover(name: str, folder: bool) -> bool:
    """Whether an entry of that name is hidden, or one that a system leaves behind."""
    if name.startswith("."):
        return True
    small = name.casefold()
    if folder:
        return small in FOLDERS
    return small in FILES or small.startswith(BEGINNINGS) or small.endswith(ENDINGS)


class Remarks:
    """Counts of what a scan met and did not use, or met in an odd place.

    Attributes:
        other_files: files in class folders without an image extension, with their folders.
    """

    def __init__(self) -> None:
        self._leftovers: Counter[str] = Counter()
        self._nested: list[str] = []
        self.other_files: list[str] = []

    def leave_out(self, entry: os.DirEntry[str]) -> None:
        """Count a hidden file or folder, or one that a system left behind."""
        # A name may hold a line's end (a Mac's icons); a surrogate could not be printed.
        self._leftovers[entry.name.strip().encode(errors="replace").decode()] += _files(entry)

    def nested(self, names: Iterable[str]) -> None:
        """Keep images that lie in a folder below their class folder."""
        self._nested.extend(names)

    def others(self, names: Iterable[str]) -> None:
        """Keep files in class folders without an image extension."""
        self.other_files.extend(names)

    def notes(self) -> Iterator[str]:
        """A line per kind."""
        if passed := self._leftovers.total():
            names = sorted(self._leftovers, key=_rank)
            what = "1 file is" if passed == 1 else f"{passed} files are"
            yield f"{what} passed over, hidden or left behind by a system: {first_few(names)}"
        if self._nested:
            images, their = (
                ("1 image lies", "its")
                if len(self._nested) == 1
                else (f"{len(self._nested)} images lie", "their")
            )
            yield f"{images} in a folder below {their} class folder: {first_few(self._nested)}"


def others_note(count: int) -> list[str]:
    """A line about files in class folders that are neither images nor captions; nothing for none."""
    return [f"{count} files without an image extension are not used"] if count else []


def _rank(name: str) -> tuple[bool, str]:
    """Folders of systems before hidden files, which every Mac leaves."""
    return name.startswith("."), name


def _files(entry: os.DirEntry[str]) -> int:
    """Files in a folder at any depth, 1 for a file; what cannot be read is not counted."""
    if not entry.is_dir(follow_symlinks=False):
        return 1
    return sum(len(files) for _, _, files in os.walk(entry.path))
