"""A table in Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

from uvlp.artifacts.tables import Cell, Comparison, Table
from uvlp.core.wording import in_markdown, markdown_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Texts in rows and columns below a heading."""

    heading: str
    head: list[str]
    body: list[list[str]]


def _means(table: Table) -> Grid:
    """The table proper: best and last of every method and network."""
    return Grid(
        heading="",
        head=["method"] + [f"{network} {which}" for network in table.networks for which in ("best", "last")],
        body=[
            [table.title(method)] + [text for cell in cells for text in (cell.best.show(), cell.last.show())]
            for method, cells in table.rows.items()
        ],
    )


def _intervals(table: Table) -> Grid | None:
    """Confidence intervals and top-5 accuracies, as far as there are any."""
    with_interval = any(cell.best.basis for cell in table.cells)
    with_top5 = any(cell.top5_best for cell in table.cells)
    head = ["best: 95 %", "last: 95 %"] * with_interval + ["top-5 best", "top-5 last"] * with_top5
    if not head:
        return None

    def texts(cell: Cell) -> list[str]:
        intervals = [summary.show_interval() or "-" for summary in (cell.best, cell.last)]
        top5 = [summary.show() if summary else "-" for summary in (cell.top5_best, cell.top5_last)]
        return intervals * with_interval + top5 * with_top5

    shown = ["95 % confidence intervals of the means"] * with_interval + ["top-5 accuracy"] * with_top5
    return Grid(
        heading=_capital(" and ".join(shown)),
        head=["method", "network", "trainings", *head],
        body=[[cell.title, cell.network, str(cell.best.trainings), *texts(cell)] for cell in table.cells],
    )


def _differences(table: Table) -> Grid | None:
    """Every comparison; best and last stand side by side, so that one is never quoted without the other."""
    if not table.comparisons:
        return None
    rows: dict[tuple[str, str], list[Comparison]] = {}
    for one in table.comparisons:
        rows.setdefault((one.method, one.network), []).append(one)
    return Grid(
        heading=f"Difference from {table.title(table.comparisons[0].reference)} "
        "in points (95 % interval), paired image by image",
        head=["method", "network", "pairs", "best", "p", "verdict", "last", "p", "verdict"],
        body=[
            [table.title(method), network, str(both[0].pairs)]
            + [text for one in both for text in (one.show(), one.show_p(), one.verdict)]
            for (method, network), both in rows.items()
        ],
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def markdown(table: Table) -> str:
    """The accuracies, their intervals, the comparisons, and the notes."""
    lines = [markdown_line(table.caption), ""]
    for grid in filter(None, (_means(table), _intervals(table), _differences(table))):
        lines += [f"{in_markdown(grid.heading)}:", ""] if grid.heading else []
        lines += [*_markdown_grid(grid), ""]
    lines += [*[f"- {markdown_line(note)}" for note in table.notes], ""]
    return "\n".join(lines)


def _markdown_grid(grid: Grid) -> list[str]:
    rows = [[in_markdown(text) for text in row] for row in [grid.head, *grid.body]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(grid.head))]
    rows.insert(1, ["-" * width for width in widths])
    return [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]


def sources(table: Table) -> str:
    """Markdown list of the score artifacts behind every cell."""
    lines = ["", "Scores behind each cell:", ""]
    lines += [f"- {markdown_line(_source(cell))}" for cell in table.cells]
    return "\n".join(lines) + "\n"


def _source(cell: Cell) -> str:
    return f"{cell.method}, {cell.network}: {', '.join(cell.scores)}"


def latex(table: Table) -> str:
    """The same grids as booktabs tables; sources and notes stand in comments."""
    lines = [f"% {_escape(note)}" for note in table.notes]
    lines += [f"% {' '.join(_source(cell).split())}" for cell in table.cells]
    networks = table.networks
    spans = " & ".join(rf"\multicolumn{{2}}{{c}}{{{_escape(name)}}}" for name in networks)
    head = [f"Method & {spans}", " & " + " & ".join(["best & last"] * len(networks))]
    lines += _tabular(_means(table), head)
    for grid in filter(None, (_intervals(table), _differences(table))):
        lines += ["", f"% {_escape(grid.heading)}"]
        lines += _tabular(grid, [_latex_row([_capital(grid.head[0]), *grid.head[1:]])])
    return "\n".join(lines) + "\n"


def _tabular(grid: Grid, head: list[str]) -> list[str]:
    columns = "".join("l" if text in ("method", "network", "verdict") else "c" for text in grid.head)
    return [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *[rf"{row} \\" for row in head],
        r"\midrule",
        *[rf"{_latex_row(row)} \\" for row in grid.body],
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _latex_row(texts: list[str]) -> str:
    return " & ".join(_escape(text) for text in texts)


LATEX = {symbol: "\\" + symbol for symbol in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "<": "$<$",
    ">": "$>$",
    # After the end of a row these would be taken for its arguments.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "`": r"\textasciigrave{}",
    "|": r"\textbar{}",
}


def _escape(text: str) -> str:
    escaped = "".join(LATEX.get(symbol, symbol) for symbol in " ".join(text.split()))
    escaped = escaped.replace("--", "-{}-").replace("--", "-{}-")  # LaTeX makes dashes of them
    # A signed number takes the minus of mathematics, not a hyphen.
    return re.sub(r"(?<![\w.-])[+-]\d+(\.\d+)?", r"$\g<0>$", escaped)


def comma_separated(table: Table) -> str:
    """One row per training, unrounded; the top-5 columns are empty below five classes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = ["seed", "repeat", "best_pct", "last_pct", "top5_best_pct", "top5_last_pct"]
    writer.writerow(["table", "method", "network", *columns, "validation_set", "validation_images", "score"])
    for cell in table.cells:
        missing = ("",) * len(cell.scores)
        values = (cell.seeds, cell.repeats, cell.best_pct, cell.last_pct)
        top5 = (cell.top5_best_pct or missing, cell.top5_last_pct or missing)
        for *training, score in zip(*values, *top5, cell.scores, strict=True):
            about = (cell.validation_set, cell.validation_images, score)
            writer.writerow([table.name, cell.method, cell.network, *training, *about])
    return out.getvalue()


def texts(table: Table) -> dict[str, str]:
    """The table in every one of `artifacts.tables.FORMATS`."""
    return {
        "markdown": markdown(table) + sources(table),
        "latex": latex(table),
        "csv": comma_separated(table),
    }
