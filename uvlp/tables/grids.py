"""Formatting of grids of text as Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from uvlp.core.wording import in_markdown

BEST, SECOND = "best", "second"
MARKDOWN_MARKS = {BEST: "**{}**", SECOND: "*{}*"}
LATEX_MARKS = {BEST: r"\textbf{{{}}}", SECOND: r"\textit{{{}}}"}
NOT_IN_LABELS = re.compile(r"[^\w.:@+-]")
COMPACT = 6
"""Columns beyond which LaTeX shows deviations as subscripts."""
PACKAGES = r"% needs \usepackage{booktabs,graphicx}"
"""First line of every LaTeX text."""
NO_WIDER = r"\resizebox{\ifdim\width>\columnwidth\columnwidth\else\width\fi}{!}{%"
"""Scales what follows down to the width of a text column, if it is wider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Cells of text in rows and columns below a heading.

    Attributes:
        heading: may be empty.
        head: titles of the columns.
        body: rows of texts.
        marks: `BEST` or `SECOND` by row and column.
        left: titles of the columns that are aligned to the left in LaTeX.
    """

    heading: str
    head: list[str]
    body: list[list[str]]
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)
    left: frozenset[str] = frozenset({"method", "network", "verdict"})


def capital(text: str) -> str:
    """Capitalise the first letter of a text."""
    return text[0].upper() + text[1:]


def markdown_grid(grid: Grid) -> list[str]:
    """Return the lines of a Markdown table with aligned columns."""
    body = [
        [_marked(in_markdown(text), grid, at, MARKDOWN_MARKS) for text, at in _positions(row, index)]
        for index, row in enumerate(grid.body)
    ]
    rows = [[in_markdown(text) for text in grid.head], *body]
    widths = [max(len(row[i]) for row in rows) for i in range(len(grid.head))]
    rows.insert(1, ["-" * width for width in widths])
    return [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]


def _positions(row: list[str], index: int) -> list[tuple[str, tuple[int, int]]]:
    return [(text, (index, column)) for column, text in enumerate(row)]


def _marked(text: str, grid: Grid, at: tuple[int, int], marks: Mapping[str, str]) -> str:
    return marks[grid.marks[at]].format(text) if at in grid.marks else text


def tabular(grid: Grid, head: list[str], *, compact: bool = False) -> list[str]:
    """Return the lines of a booktabs tabular.

    Args:
        head: the rows above the first rule, without their ends.
        compact: show deviations as subscripts, which need half the width.
    """
    columns = "".join("l" if text in grid.left else "c" for text in grid.head)
    show = _subscripted if compact else _in_latex
    rows = [
        " & ".join(show(text, grid, at) for text, at in _positions(row, index))
        for index, row in enumerate(grid.body)
    ]
    return [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *[rf"{row} \\" for row in head],
        r"\midrule",
        *[rf"{row} \\" for row in rows],
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _in_latex(text: str, grid: Grid, at: tuple[int, int]) -> str:
    return _marked(escape(text), grid, at, LATEX_MARKS)


def _subscripted(text: str, grid: Grid, at: tuple[int, int]) -> str:
    mean, sign, deviation = text.partition(" ± ")
    return _in_latex(mean, grid, at) + (rf"$_{{\pm {deviation}}}$" if sign else "")


def _is_compact(grid: Grid) -> bool:
    return len(grid.head) > COMPACT


def floating(grid: Grid, head: list[str], caption: str, label: str) -> list[str]:
    """Return a LaTeX table environment no wider than a text column."""
    *inside, end = tabular(grid, head, compact=_is_compact(grid))
    return [
        r"\begin{table}",
        r"\centering",
        (r"\footnotesize" if _is_compact(grid) else r"\small") + r"\setlength{\tabcolsep}{3pt}",
        r"\setlength{\belowcaptionskip}{4pt}",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{tab:{re.sub(NOT_IN_LABELS, '-', label)}}}",
        NO_WIDER,
        *inside,
        end + "}",
        r"\end{table}",
    ]


def latex_row(texts: list[str]) -> str:
    """Format a LaTeX row without its line end."""
    return " & ".join(escape(text) for text in texts)


LATEX = {symbol: "\\" + symbol for symbol in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "<": "$<$",
    ">": "$>$",
    # After the end of a row, LaTeX would read these as arguments.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "`": r"\textasciigrave{}",
    "|": r"\textbar{}",
}


def escape(text: str) -> str:
    """Escape the special characters of LaTeX."""
    escaped = "".join(LATEX.get(symbol, symbol) for symbol in " ".join(text.split()))
    escaped = escaped.replace("--", "-{}-").replace("--", "-{}-")  # LaTeX would typeset dashes
    # A signed number needs a minus sign, not a hyphen.
    return re.sub(r"(?<![\w.-])[+-]\d+(\.\d+)?", r"$\g<0>$", escaped)
