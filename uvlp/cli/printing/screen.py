"""The result of a command, no wider than its terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby

from uvlp.core.display.width import blocks, columned, columns, wrapped

CELLS = re.compile(r"(?<!\\)\|")
GAP, FURTHER = "  ", 4
"""What separates columns; further lines of such a line are indented by this."""
LIST = re.compile(r"\s*(?:- |\d+\. )?")


def width() -> int | None:
    """Return the columns of standard output; None: as many as there are."""
    return columns(sys.stdout)


def show(text: str) -> None:
    """Print lines; those that are too wide are wrapped, and tables of Markdown become blocks."""
    for line in fitted(text, width()):
        print(line)


def show_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows as aligned columns; see `columned`."""
    for line in columned(rows, width()):
        print(line)


def fitted(text: str, columns: int | None) -> Iterator[str]:
    """Yield the lines of a text so that they fit."""
    for in_table, lines in groupby(text.split("\n"), key=lambda line: line.startswith("|")):
        kept = list(lines)
        if columns is None:
            yield from kept
        elif in_table and max(map(len, kept)) > columns:
            head, _, *body = ([cell.strip() for cell in CELLS.split(line)[1:-1]] for line in kept)
            yield from blocks(head, body, columns)
        else:
            for line in kept:
                marked = LIST.match(line)
                indent = marked.end() if marked else 0
                in_columns = GAP in line.strip()
                yield from wrapped(line, columns, max(indent, FURTHER) if in_columns else indent)
