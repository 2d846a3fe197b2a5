"""Titles of image folders in tables: short, unique, and other than those of methods."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uvlp.artifacts import distilled
from uvlp.artifacts.task import read_manifest
from uvlp.core.files.unicode_form import nfc

LONGEST = 40
INSIDE = ("train", "val")
"""Folders that every dataset and result has, so that their names alone are not informative."""
KEY_DIGITS = 8
OF_A_METHOD = re.compile(r"([\w:.+-]+) images, seed ([0-9]+)")
"""Title of the images of a method in a store."""


def titles(folders: Sequence[Path], taken: Collection[str] = ()) -> list[str]:
    """Return the first title of each folder that is unique, see `_candidates`.

    Args:
        folders: absolute paths, all different.
        taken: other names in the same table; compared case-insensitively.
    """
    candidates = [list(_candidates(folder)) for folder in folders]
    chosen = [0] * len(folders)
    while True:
        names = [own[index] for own, index in zip(candidates, chosen, strict=True)]
        counts = Counter(name.casefold() for name in (*names, *taken))
        ambiguous = [
            row
            for row, name in enumerate(names)
            if counts[name.casefold()] > 1 and chosen[row] + 1 < len(candidates[row])
        ]
        if not ambiguous:
            break
        for row in ambiguous:
            chosen[row] += 1
    short = [_shortened(name) for name in names]
    return short if len(set(short)) == len(short) else names


def _candidates(folder: Path) -> Iterator[str]:
    """Yield titles of a folder, longer and longer: its last part, preceded by as many as there are.

    Images of a store are titled by method and seed, then with their key, if a method made them.
    """
    yield from _of_store(folder)
    for count in range(2 if folder.name in INSIDE else 1, len(folder.parts)):
        yield nfc("/".join(folder.parts[-count:]))
    yield nfc(str(folder))


def _of_store(folder: Path) -> Iterator[str]:
    """Yield titles of a folder of distilled images in a store, from their manifest."""
    artifact = folder.parent if folder.name in INSIDE else folder
    try:
        content = read_manifest(artifact)
    except (OSError, ValueError, RecursionError):
        return
    key = artifact.name
    if content.get("kind") != distilled.KIND or content.get("key") != key:
        return
    if OF_A_METHOD.fullmatch(str(content.get("title"))):
        name = set_name(content)
        yield name
        yield f"{name}-{key[:KEY_DIGITS]}"
    else:
        yield key[:KEY_DIGITS]


def set_name(content: Mapping[str, Any]) -> str:
    """Return the name of distilled images from their manifest: ``uvlp-seed-0``, or that of their folder."""
    title = str(content["title"])
    made = OF_A_METHOD.fullmatch(title)
    return f"{made[1]}-seed-{made[2]}" if made else nfc(title.removeprefix("images of "))


def _shortened(name: str) -> str:
    """Cut the middle of a name with more than LONGEST characters."""
    if len(name) <= LONGEST:
        return name
    half = (LONGEST - 1) // 2
    return f"{name[:half]}…{name[half + 1 - LONGEST :]}"
