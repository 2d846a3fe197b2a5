"""Short names for folders in tables: no two alike, and none like a name that is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from uvlp.core.unicode_form import nfc

LONGEST = 40
INSIDE = ("train", "val")
"""Folders that every dataset and result has, so that their names alone say nothing."""


def titles(folders: Sequence[Path], taken: Collection[str] = ()) -> list[str]:
    """The last part of each path, with as many parts before it as tell it from all others.

    Args:
        folders: absolute paths, all different.
        taken: names that mean something else in the same table; capitals make no difference.
    """
    parts = [2 if folder.name in INSIDE else 1 for folder in folders]
    while True:
        names = [_end(folder, count) for folder, count in zip(folders, parts, strict=True)]
        counts = Counter(name.casefold() for name in (*names, *taken))
        alike = [
            i for i, name in enumerate(names) if counts[name.casefold()] > 1 and name != nfc(str(folders[i]))
        ]
        if not alike:
            break
        for i in alike:
            parts[i] += 1
    short = [_shortened(name) for name in names]
    return short if len(set(short)) == len(short) else names


def _end(folder: Path, count: int) -> str:
    return nfc(str(folder) if count >= len(folder.parts) else "/".join(folder.parts[-count:]))


def _shortened(name: str) -> str:
    """At most LONGEST characters: the middle of a long name is left out."""
    if len(name) <= LONGEST:
        return name
    half = (LONGEST - 1) // 2
    return f"{name[:half]}…{name[half + 1 - LONGEST :]}"
