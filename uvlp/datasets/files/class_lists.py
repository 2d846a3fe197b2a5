"""Class lists of the published datasets: ids, names for prompts, synonyms (`uvlp/datasets/classes/*.tsv`).

The files keep the order of the published lists; label indices follow the alphabetical order of the ids, as
in torchvision's folders, the RDED teachers and the captions (decisions: Evaluation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uvlp.core.files.lines import read_lines

FOLDER = Path(__file__).parent.parent / "classes"


@dataclass(frozen=True, slots=True)
class ClassName:
    """A class: folder name, name for prompts, and all synonyms, e.g. ``tench, Tinca tinca``."""

    id: str
    name: str
    synonyms: str


def wordnet_classes(stem: str) -> tuple[ClassName, ...]:
    """Read a list of WordNet ids, in alphabetical order of the ids.

    The name is the first synonym. If an earlier class already has that name, it is the next unused synonym,
    else the id (``crane`` is a bird, the machine is ``n03126707``).
    """
    rows = sorted(_rows(stem))
    firsts = [_names(synonyms)[0] for _, synonyms in rows]
    classes, taken = [], set[str]()
    for (identity, synonyms), first in zip(rows, firsts, strict=True):
        others = (name for name in _names(synonyms)[1:] if name not in firsts and name not in taken)
        name = first if first not in taken else next(others, identity)
        taken.add(name)
        classes.append(ClassName(identity, name, synonyms))
    return tuple(classes)


def numbered_classes(stem: str) -> tuple[ClassName, ...]:
    """Read a list whose folder names are the class names, in label order."""
    rows = _rows(stem)
    return tuple(ClassName(name, name.replace("_", " "), name.replace("_", " ")) for _, name in rows)


def identities(dataset: str) -> tuple[str, ...]:
    """Ids of the classes of a published dataset in label order; empty for one that has no list here."""
    stem = dataset.replace("-", "")
    if not (FOLDER / f"{stem}.tsv").is_file():
        return ()
    rows = _rows(stem)
    numbered = all(identity.isdecimal() for identity, _ in rows)
    return tuple(name for _, name in rows) if numbered else tuple(sorted(identity for identity, _ in rows))


def exchanged(classes: Sequence[ClassName], one: str, other: str) -> tuple[ClassName, ...]:
    """Swap the names of two ids; the synonyms stay."""
    names = {entry.id: entry.name for entry in classes}
    names[one], names[other] = names[other], names[one]
    return tuple(ClassName(entry.id, names[entry.id], entry.synonyms) for entry in classes)


def _rows(stem: str) -> list[tuple[str, str]]:
    lines = read_lines(FOLDER / f"{stem}.tsv")
    pairs = [line.partition("\t") for line in lines]
    return [(identity, text) for identity, _, text in pairs]


def _names(synonyms: str) -> list[str]:
    return [name.strip() for name in synonyms.split(",")]
