"""Is a disk certainly too small for what is about to be fetched or made?"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from uvlp.core.files.disk_space import free_bytes, too_small
from uvlp.core.files.paths import nearest_existing
from uvlp.core.wording import first_few


class Wanted(NamedTuple):
    """What is to be written.

    Attributes:
        what: a name for readers.
        place: the folder that it goes into; it need not be there.
        bytes: at least so many.
        unfinished: folders that may hold a part of it.
    """

    what: str
    place: Path
    bytes: int
    unfinished: tuple[Path, ...] = ()


def check(wanted: Sequence[Wanted], fix: str) -> None:
    """Refuse to begin what cannot end; folders on one disk share its room.

    Raises:
        UvlpError: a disk is too small, with what it has and what is wanted.
    """
    disks: dict[int, list[Wanted]] = {}
    for each in wanted:
        disks.setdefault(nearest_existing(each.place).stat().st_dev, []).append(each)
    for parts in disks.values():
        needed, place = sum(part.bytes for part in parts), nearest_existing(parts[0].place)
        free = free_bytes(place)
        if free >= needed:
            continue
        begun = sum(_occupied(folder) for part in parts for folder in part.unfinished)
        if free + begun < needed:
            names = first_few(part.what for part in parts if part.bytes)
            raise too_small(names, place, needed - begun, free, fix)


def _occupied(folder: Path) -> int:
    """Bytes on the disk of the files below a folder; a sparse file has fewer than its length."""
    found = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            found += os.lstat(path).st_blocks * 512
    return found
