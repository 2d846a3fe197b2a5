"""The numbered differences from the published code (`paper_tables/deviations.md`), by method and run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from uvlp.core.files.lines import read_lines
from uvlp.core.plugins import PACKAGE

FILE = PACKAGE.parent / "paper_tables" / "deviations.md"
ROW = "| D-"
EVERY = "every"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One row of the file.

    Attributes:
        number: e.g. ``"D-02"``.
        name: a few words.
        methods: names of the methods that it concerns; empty: every one.
        only_with: the names of which a run must have one, by kind: dataset, captioner, stage, protocol,
            profile, teacher, or a setting's name. A kind that is not here is not limited.
        what, why, effect: as written.
    """

    number: str
    name: str
    methods: tuple[str, ...]
    only_with: Mapping[str, tuple[str, ...]]
    what: str
    why: str
    effect: str

    def concerns(self, method: str, names: Mapping[str, Collection[str]]) -> bool:
        """Return whether it concerns a run of ``method``; ``names``: those that the run uses, by kind."""
        if self.methods and method not in self.methods:
            return False
        return all(not set(wanted).isdisjoint(names.get(kind, ())) for kind, wanted in self.only_with.items())


@cache
def deviations() -> tuple[Deviation, ...]:
    """Return every entry, in the order of the file."""
    return tuple(_entry(line) for line in read_lines(FILE) if line.startswith(ROW))


def _entry(line: str) -> Deviation:
    number, name, methods, only_with, *texts = (cell.strip() for cell in line.strip("|").split("|"))
    what, why, effect = texts
    conditions = (condition.partition(":") for condition in only_with.split(";") if condition.strip())
    return Deviation(
        number=number,
        name=name,
        methods=() if methods == EVERY else _names(methods),
        only_with={kind.strip(): _names(names) for kind, _, names in conditions},
        what=what,
        why=why,
        effect=effect,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))
