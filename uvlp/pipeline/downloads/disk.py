"""Check whether disks are large enough for what is to be downloaded or computed."""

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
    """Data that is to be written.

    Attributes:
        what: title for messages.
        folder: target folder; it need not exist.
        bytes: minimum size.
        unfinished: folders that may already contain a part of it.
    """

    what: str
    folder: Path
    bytes: int
    unfinished: tuple[Path, ...] = ()


def check(wanted: Sequence[Wanted], fix: str) -> None:
    """Refuse to start work whose output cannot fit; folders on one disk share its free space.

    Raises:
        UvlpError: a disk is too small; gives free and needed space.
    """
    disks: dict[int, list[Wanted]] = {}
    for each in wanted:
        disks.setdefault(nearest_existing(each.folder).stat().st_dev, []).append(each)
    for parts in disks.values():
        needed, folder = sum(part.bytes for part in parts), nearest_existing(parts[0].folder)
        free = free_bytes(folder)
        if free >= needed:
            continue
        written = sum(_occupied(each) for part in parts for each in part.unfinished)
        if free + written < needed:
            names = first_few(part.what for part in parts if part.bytes)
            raise too_small(names, folder, needed - written, free, fix)


def _occupied(folder: Path) -> int:
    """Return the disk usage of the files below a folder; a sparse file uses less than its length."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # deleted meanwhile
            total += os.lstat(path).st_blocks * 512
    return total
