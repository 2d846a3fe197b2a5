"""Contents of a section: figures, tables, pictures and lines. What they look like is in `templates/`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDE, NARROW = (960,), (960, 330)
"""Widths in px at which a figure is drawn: one size, or also one for telephones and columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure.

    Attributes:
        name: on the command line and as file, e.g. ``"accuracy"``; figures of one name, e.g. one for each
            method, are panels of one figure there.
        title: one line.
        text: alternative text, which says what there is to see.
        draw: from a width in px to an Altair chart.
        widths: widths at which the page has it.
    """

    name: str
    title: str
    text: str
    draw: Callable[[int], Any]
    widths: tuple[int, ...] = NARROW
    kind: str = "figure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table; columns from the ``numbers``-th on are numbers. ``folded``: closed at first."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: int = 1
    folded: bool = False
    kind: str = "grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image as a data URI with its label below and an alternative text."""

    uri: str
    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Pictures that belong together, and lines about them; cards of one ``group`` have a common heading."""

    pictures: Sequence[Picture]
    lines: Sequence[str]
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Cards with a title, one below the other in a gallery; closed at first unless ``opened``."""

    title: str
    cards: Sequence[Card]
    opened: bool = False

    @property
    def groups(self) -> list[tuple[str, list[Card]]]:
        """Cards by their group, in order."""
        groups = itertools.groupby(self.cards, key=lambda card: card.group)
        return [(name, list(cards)) for name, cards in groups]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Shelves of cards."""

    shelves: Sequence[Shelf]
    kind: str = "gallery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A list of remarks with a title."""

    title: str
    lines: Sequence[str]
    kind: str = "lines"


Block = Figure | Grid | Gallery | Lines


@dataclass(slots=True, kw_only=True)
class Panel:
    """A section about one run.

    Attributes:
        id: short name, unique on the page for each run.
        title: heading.
        lead: what is shown, and how to read it.
        blocks: what is shown; a panel without any is left out.
        left_out: what does not fit or is not in the store, one sentence each.
    """

    id: str
    title: str
    lead: str
    blocks: list[Block] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
