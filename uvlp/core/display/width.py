"""The width of what an output prints to, and lines that keep it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TextIO

NARROWEST = 20
"""Columns; at less, hardly a word would fit."""


def columns(stream: TextIO | None) -> int | None:
    """Return the columns that ``$COLUMNS`` names, else those of the terminal; None: lines may be any long.

    Files and pipes have no width, so that a program finds each item on a line.
    """
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdecimal() and int(given):
        return max(int(given), NARROWEST)
    try:
        if stream is not None and stream.isatty():
            return max(os.get_terminal_size(stream.fileno()).columns, NARROWEST)
    except (OSError, ValueError):  # a stream without a descriptor, or one that is closed
        pass
    return None


def wrapped(text: str, width: int | None, indent: int = 0, first: int = 0) -> list[str]:
    """Return lines of at most ``width`` columns; words that are longer, e.g. paths, are not broken.

    Args:
        text: lines, each wrapped by itself.
        width: see `columns`.
        indent: spaces before every line but the first.
        first: spaces before the first one.
    """
    lines = []
    for line in text.split("\n"):
        if width is None or first + len(line) <= width:
            lines.append(" " * first + line)
        else:
            lines += _broken(line, width, indent, first)
    return lines


def _broken(line: str, width: int, indent: int, first: int) -> list[str]:
    kept = len(line) - len(line.lstrip(" "))
    indent = min(max(indent, kept), width // 2)
    return textwrap.wrap(
        line,
        width,
        initial_indent=" " * first,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    ) or [""]


def columned(rows: Sequence[Sequence[str]], width: int | None, gap: str = "  ") -> list[str]:
    """Return rows as aligned columns whose last one is wrapped, or a block of lines where it has no room.

    Args:
        rows: cells of equal number.
        width: see `columns`.
        gap: between two columns.
    """
    sizes = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    start = sum(sizes) + len(gap) * len(sizes)
    lines = []
    for *cells, last in rows:
        head = "".join(f"{cell:<{size}}{gap}" for cell, size in zip(cells, sizes, strict=True))
        line = f"{head}{last}".rstrip()
        if width is None or len(line) <= width or width - start >= width // 2:
            lines += wrapped(line, width, start)
        else:
            lines += wrapped(gap.join(filter(None, map(str.strip, cells))), width, 4)
            lines += wrapped(last, width, 4, first=4) if last else []
    return lines


def tabulated(head: Sequence[str], body: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return aligned columns with a head; where that is too wide, the `blocks` of the rows."""
    sizes = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = [
        "  ".join(text.ljust(size) for text, size in zip(row, sizes, strict=True)).rstrip()
        for row in (head, *body)
    ]
    return lines if width is None or max(map(len, lines)) <= width else blocks(head, body, width)


def blocks(head: Sequence[str], body: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return rows as blocks: the first cell, then a line per other cell with its title."""
    lines = []
    for first, *others in body:
        lines += wrapped(first, width, 2)
        for title, cell in zip(head[1:], others, strict=True):
            lines += wrapped(f"{title}: {cell}", width, 4, first=2)
    return lines
