"""Formatting of a published table as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from uvlp.core.wording import markdown_line
from uvlp.tables.grids import PACKAGES, Grid, escape, floating, latex_row, markdown_grid
from uvlp.tables.paper import PaperTable, measured_marks, published_marks
from uvlp.tables.published import Published, title
from uvlp.tables.verdicts import ASSUMED_N, HALF_WIDTH

LABELS = ("dataset", "IPC", "network")


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Cells that one command would measure.

    Attributes:
        cells: of one dataset and IPC.
        command: of `uvlp`.
        cost: estimated cost as text.
    """

    cells: Sequence[Published]
    command: str
    cost: str


def grid(table: PaperTable, *, with_intervals: bool) -> Grid:
    """Return published rows, each followed by a row of measured values, if any.

    Args:
        with_intervals: add the 95 % interval and the number of trainings to measured means.
    """
    body: list[list[str]] = []
    marks: dict[tuple[int, int], str] = {}
    origin = bool(table.measured)
    first = len(table.labels) + origin
    for row, cells in table.rows.items():
        label = [(title(row[0]), str(row[1]), title(row[2]))[part] for part in table.labels]
        lines = {"published": {method: _show(cell) for method, cell in cells.items()}}
        of_line = {"published": published_marks(cells)}
        found = {method: table.measured[cell] for method, cell in cells.items() if cell in table.measured}
        if found:
            lines["measured"] = {
                method: each.show() if with_intervals else each.cell.best.show()
                for method, each in found.items()
            }
            of_line["measured"] = measured_marks(cells, table.measured)
        for name, texts in lines.items():
            for column, method in enumerate(table.methods, start=first):
                if method in of_line[name]:
                    marks[len(body), column] = of_line[name][method]
            body.append([*label, *[name] * origin, *(texts.get(method, "-") for method in table.methods)])
    head = [*(LABELS[part] for part in table.labels), *["accuracy"] * origin, *map(title, table.methods)]
    return Grid(
        heading="", head=head, body=body, marks=marks, left=frozenset(["dataset", "network", "accuracy"])
    )


def _show(cell: Published) -> str:
    return f"{cell.mean_pct:.1f} ± {cell.std_pct:.1f}"


def notes(table: PaperTable) -> list[str]:
    """Return notes about the numbers, one sentence each."""
    return [
        "mean ± standard deviation; best bold, second italic, row by row; Full is not ranked",
        *_on_source(table),
        *(f"{title(cell.method)}, {_where(cell)}: {cell.note}" for cell in table.cells if cell.note),
        *_on_verdicts(table),
    ]


def _on_source(table: PaperTable) -> list[str]:
    cells = table.cells
    found = [
        "the number of trainings is not published"
        + (f"; verdicts take {ASSUMED_N}" if table.measured else "")
    ]
    if any(cell.network_inferred for cell in cells):
        networks = dict.fromkeys(title(cell.network) for cell in cells)
        found.append(f"the source does not name the test network; its scripts train {', '.join(networks)}")
    copied: dict[str, dict[str, None]] = {}
    for cell in cells:
        if cell.copied_from:
            copied.setdefault(cell.copied_from, {})[title(cell.method)] = None
    found += [f"{', '.join(methods)}: copied from {title(source)}" for source, methods in copied.items()]
    return [*found, f"test images: {'; '.join(_test_images(cells))}"]


def _test_images(cells: Sequence[Published]) -> list[str]:
    """Describe the test images by dataset, or by method if they differ within a dataset."""
    texts = []
    datasets = dict.fromkeys(cell.dataset for cell in cells)
    for dataset in datasets:
        methods: dict[str, dict[str, None]] = {}
        for cell in cells:
            if cell.dataset == dataset:
                methods.setdefault(cell.validation_set or "not stated", {})[title(cell.method)] = None
        whose = f" for {title(dataset)}" if len(datasets) > 1 else ""
        for images, names in methods.items():
            texts.append(f"{images}{whose}" + (f" ({', '.join(names)})" if len(methods) > 1 else ""))
    return texts


def _where(cell: Published) -> str:
    return f"{title(cell.dataset)}, {cell.ipc} per class, {title(cell.network)}"


def _on_verdicts(table: PaperTable) -> list[str]:
    lines = []
    for cell in table.cells:
        verdict = table.verdict(cell)
        if verdict is None:
            continue
        found = table.measured[cell]
        error = found.cell.best.binomial_error_points
        lines.append(
            f"{title(cell.method)}, {_where(cell)}: measured minus published {verdict.show()}; "
            f"{found.cell.validation_images} test images alone: ±{error:.1f} (standard error); {found.table}"
        )
    if lines:
        lines.insert(
            0,
            "reproduced: the 95 % interval of the difference of the means (Welch 1947) contains 0 and is no "
            f"wider than ±{HALF_WIDTH:.0f} points; not reproduced: it excludes 0",
        )
    return lines


def markdown(table: PaperTable, missing: Sequence[Missing], absent: Sequence[str]) -> str:
    """Format the table, its notes, and the commands that measure missing cells.

    Args:
        absent: methods of the table that are not implemented.
    """
    lines = [f"{markdown_line(table.caption)}:", "", *markdown_grid(grid(table, with_intervals=True)), ""]
    lines += [f"- {markdown_line(note)}" for note in notes(table)]
    if missing:
        lines += ["", f"Not measured yet, and what measures it (`uvlp table {table.name} --fill`: all):", ""]
        lines += [f"- `{each.command}`: {_count(len(each.cells))}, {each.cost}" for each in missing]
    if absent:
        lines += ["", f"No method here: {', '.join(map(title, absent))}."]
    return "\n".join(lines) + "\n"


def _count(cells: int) -> str:
    return f"{cells} cell{'s' * (cells != 1)}"


def latex(table: PaperTable) -> str:
    """Format a booktabs table no wider than a text column, with explanations in comments."""
    shown = grid(table, with_intervals=False)
    head = latex_row([text[0].upper() + text[1:] for text in shown.head])
    lines = [PACKAGES, *(f"% {escape(note)}" for note in notes(table))]
    lines += [
        f"% measured: {escape(title(cell.method))}, {escape(_where(cell))}: {escape(found.show())}"
        for cell, found in table.measured.items()
    ]
    lines += floating(shown, [head], f"{table.caption}.", table.name)
    return "\n".join(lines) + "\n"


COLUMNS = (
    *("table", "dataset", "ipc", "network", "protocol", "method", "published_mean", "published_std"),
    *("source", "copied_from", "validation_set", "measured_mean", "measured_std", "trainings"),
    *("low", "high", "measured_on", "verdict", "stored_table"),
)


def comma_separated(table: PaperTable) -> str:
    """Format one CSV row per cell; unmeasured values are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in table.cells:
        row = [table.name, cell.dataset, cell.ipc, cell.network, cell.protocol, cell.method]
        row += [cell.mean_pct, cell.std_pct, cell.source, cell.copied_from, cell.validation_set]
        found, verdict = table.measured.get(cell), table.verdict(cell)
        if found is None or verdict is None:
            writer.writerow([*row, *[""] * 8])
            continue
        best = found.cell.best
        row += [best.mean_pct, best.std_pct, best.trainings, best.low_pct, best.high_pct]
        writer.writerow([*row, found.validation_set, verdict.kind, found.table])
    return out.getvalue()
