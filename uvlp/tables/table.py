"""Formatting of a table as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import fields, replace

from uvlp.artifacts.tables import Cell, Comparison, Table
from uvlp.core.wording import in_markdown, markdown_line
from uvlp.tables.ablations import worth
from uvlp.tables.grids import PACKAGES, Grid, capital, escape, floating, latex_row, markdown_grid
from uvlp.tables.notes import means_nothing, merged, on_comparisons, remarks
from uvlp.tables.published import title
from uvlp.tables.sentences import sentences

TOP5_CLASSES = 20
"""Fewer classes make the top-5 accuracy nearly 100 % for every method."""
SOFT_LABELS = "soft labels, MB"
PARTS = ("main", "intervals", "differences", "all")
CSV_PARTS = ("main", "differences")


def means(table: Table) -> Grid:
    """Return the main table: best and last of every method and network, and the size of its soft labels."""
    soft = _soft_labels(table)
    return Grid(
        heading="",
        head=[
            "method",
            *[f"{network} {which}" for network in table.networks for which in ("best", "last")],
            *[SOFT_LABELS] * soft,
        ],
        body=[
            [
                table.title(method),
                *[text for cell in cells for text in (cell.best.show(), cell.last.show())],
                *[_megabytes(cells)] * soft,
            ]
            for method, cells in table.rows.items()
        ],
    )


def _soft_labels(table: Table) -> bool:
    return any(cell.soft_label_mb is not None for cell in table.cells)


def _megabytes(cells: Sequence[Cell]) -> str:
    """Return the size of a method's soft labels, which networks with other schedules may share or not."""
    sizes = {cell.soft_label_mb for cell in cells if cell.soft_label_mb is not None}
    return " to ".join(f"{size:.3g}" for size in sorted({min(sizes), max(sizes)})) if sizes else "-"


def _intervals(table: Table) -> Grid | None:
    """Return confidence intervals and top-5 accuracies, if any."""
    with_interval = any(cell.best.basis for cell in table.cells)
    with_top5 = any(cell.top5_best and (cell.classes or 0) >= TOP5_CLASSES for cell in table.cells)
    head = ["best: 95 %", "last: 95 %"] * with_interval + ["top-5 best", "top-5 last"] * with_top5
    if not head:
        return None

    def texts(cell: Cell) -> list[str]:
        intervals = [summary.show_interval() or "-" for summary in (cell.best, cell.last)]
        top5 = [summary.show() if summary else "-" for summary in (cell.top5_best, cell.top5_last)]
        return intervals * with_interval + top5 * with_top5

    shown = ["95 % confidence intervals of the means"] * with_interval + ["top-5 accuracy"] * with_top5
    return Grid(
        heading=capital(" and ".join(shown)),
        head=["method", "network", "trainings", *head],
        body=[[cell.title, cell.network, str(cell.best.trainings), *texts(cell)] for cell in table.cells],
    )


def _differences(table: Table) -> Grid | None:
    """Return all comparisons, with best and last side by side so that neither is quoted alone."""
    if not table.comparisons:
        return None
    if table.ablations:
        return worth(table)
    rows: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in table.comparisons:
        rows.setdefault((comparison.method, comparison.network), []).append(comparison)
    return Grid(
        heading=f"Difference from {table.title(table.comparisons[0].reference)} "
        "in points (95 % interval), paired image by image",
        head=["method", "network", "pairs", "best", "p", "verdict", "last", "p", "verdict"],
        body=[
            [table.title(method), network, str(both[0].pairs)]
            + [text for each in both for text in (each.show(), each.show_p(), each.verdict)]
            for (method, network), both in rows.items()
        ],
    )


def markdown(table: Table) -> str:
    """Format accuracies, intervals, comparisons and notes as Markdown."""
    lines = [markdown_line(table.caption), ""]
    for grid in (means(table), _intervals(table), _differences(table)):
        lines += _shown(grid)
    lines += [*[f"- {markdown_line(note)}" for note in merged(table.notes)], ""]
    return "\n".join(lines)


def _shown(grid: Grid | None) -> list[str]:
    if grid is None:
        return []
    heading = [f"{in_markdown(grid.heading)}:", ""] if grid.heading else []
    return [*heading, *markdown_grid(grid), ""]


def printed(table: Table) -> Table:
    """Return what is printed of a table: no comparisons where its numbers mean nothing (profile nano)."""
    if not means_nothing(table.notes):
        return table
    of_comparisons = {*on_comparisons(table.comparisons, table.ablations)}
    notes = tuple(note for note in table.notes if note not in of_comparisons)
    return replace(table, comparisons=(), ablations={}, notes=notes)


def screen(table: Table) -> str:
    """What a reader wants first: a sentence per comparison, the accuracies, and the remarks on this run.

    Of ablations: what each part is worth instead of the sentences.
    """
    table, meaningless = printed(table), means_nothing(table.notes)
    lines = [markdown_line(table.caption), ""]
    if table.ablations:
        lines += _shown(worth(table, ("best",)))
    elif not meaningless:
        led = [markdown_line(line) for line in sentences(table)]
        lines += [*led, ""] if led else []
    lines += [*markdown_grid(means(table)), ""]
    own = remarks(table)
    lines += [*[f"- {markdown_line(note)}" for note in own], ""] if own else []
    return "\n".join(lines)


def sources(table: Table) -> str:
    """Return a Markdown list of the score artifacts of every cell."""
    lines = ["", "Scores behind each cell:", ""]
    lines += [f"- {markdown_line(_source(cell))}" for cell in table.cells]
    return "\n".join(lines) + "\n"


def _source(cell: Cell) -> str:
    return f"{cell.method}, {cell.network}: {', '.join(cell.scores)}"


def latex(table: Table, part: str = "all") -> str:
    """The table, or its parts, as booktabs tables no wider than a text column; sources and notes in comments.

    Args:
        part: one of `PARTS`; the main part of ablations includes the differences.
    """
    table = _with_network_titles(table)
    grids = {"main": means(table), "intervals": _intervals(table), "differences": _differences(table)}
    wanted = {"main", "differences"} if table.ablations and part == "main" else {part}
    if part == "all":
        wanted = set(grids)
    chosen = {name: grid for name, grid in grids.items() if grid is not None and name in wanted}
    lines = [PACKAGES]
    lines += [f"% {escape(note)}" for note in merged(table.notes)]
    lines += [f"% {' '.join(_source(cell).split())}" for cell in table.cells]
    for name, grid in chosen.items():
        caption = f"{table.caption}. {grid.heading or 'Top-1 accuracy in percent'}."
        label = table.name if name == "main" else f"{table.name}-{name}"
        head = (
            _spanning(table)
            if name == "main"
            else [latex_row([text if text == "p" else capital(text) for text in grid.head])]
        )
        lines += ["", *floating(grid, head, caption, label)]
    return "\n".join(lines) + "\n"


def _with_network_titles(table: Table) -> Table:
    """The table with its networks in their published spelling."""
    return replace(
        table,
        cells=tuple(replace(cell, network=title(cell.network)) for cell in table.cells),
        comparisons=tuple(replace(one, network=title(one.network)) for one in table.comparisons),
    )


def _spanning(table: Table) -> list[str]:
    """Two rows: the networks, and best and last below each."""
    spans = [rf"\multicolumn{{2}}{{c}}{{{escape(name)}}}" for name in table.networks]
    soft = _soft_labels(table)
    first = ["Method", *spans, *["Soft labels"] * soft]
    second = ["", *["best & last"] * len(table.networks), *["MB"] * soft]
    return [" & ".join(first), " & ".join(second)]


def comma_separated(table: Table, part: str = "main") -> str:
    """Format one CSV row per training, unrounded; the top-5 columns are empty below five classes.

    Args:
        part: ``differences`` for a row per comparison instead.
    """
    if part == "differences":
        return _comparisons(table)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    rows = [*table.trainings()]
    writer.writerow(rows[0])
    writer.writerows(["" if value is None else value for value in row.values()] for row in rows)
    return out.getvalue()


def _comparisons(table: Table) -> str:
    """Format one CSV row per comparison and pass, unrounded: ``method`` minus ``reference``."""
    out = io.StringIO()
    names = [each.name for each in fields(Comparison)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", *names, *["ablation"] * bool(table.ablations)])
    for one in table.comparisons:
        removed = [table.ablations[one.reference]] if table.ablations else []
        writer.writerow([table.name, *(getattr(one, name) for name in names), *removed])
    return out.getvalue()


def texts(table: Table) -> dict[str, str]:
    """Format the table in all of `artifacts.tables.FORMATS`."""
    return {
        "markdown": markdown(table) + sources(table),
        "latex": latex(table),
        "csv": comma_separated(table),
    }
