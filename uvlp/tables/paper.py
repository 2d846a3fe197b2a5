"""A published table in its published layout, with measured values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uvlp.artifacts.tables import Cell
from uvlp.tables.grids import BEST, SECOND
from uvlp.tables.published import Published, title
from uvlp.tables.verdicts import Verdict, judge

UNRANKED = "full"
"""The full training set, which is not ranked among the methods."""
Row = tuple[str, int, str]
"""Dataset, images per class, network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measured cell that corresponds to a published one.

    Attributes:
        cell: the cell of a table in the store, with its trainings.
        table: name of that table.
        validation_set: its test images, in the terms of `Published.validation_set`.
        changed: note on settings that differ from the protocol's; empty if there are none.
    """

    cell: Cell
    table: str
    validation_set: str
    changed: str = ""

    def show(self) -> str:
        """Format mean, deviation, interval and number of trainings, e.g. "62.1 ± 0.5 (61.0 to 63.2; n 9)"."""
        best = self.cell.best
        interval = best.show_interval()
        return f"{best.show()} ({interval}; n {best.trainings})" if interval else f"{best.show()} (n 1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """A published table with its measured cells.

    Attributes:
        name: name on the command line.
        cells: published cells in the order of the source.
        measured: measured cells by published cell.
    """

    name: str
    cells: Sequence[Published]
    measured: Mapping[Published, Measured]

    @property
    def source(self) -> str:
        """Source of the table."""
        return self.cells[0].source

    @property
    def methods(self) -> list[str]:
        """Columns, in the order of the source."""
        return list(dict.fromkeys(cell.method for cell in self.cells))

    @property
    def rows(self) -> dict[Row, dict[str, Published]]:
        """Cells by row and method."""
        rows: dict[Row, dict[str, Published]] = {}
        for cell in self.cells:
            rows.setdefault((cell.dataset, cell.ipc, cell.network), {})[cell.method] = cell
        return rows

    @property
    def labels(self) -> list[int]:
        """Parts of a `Row` that differ among the rows and therefore have columns."""
        return [part for part in range(3) if len({row[part] for row in self.rows}) > 1]

    @property
    def caption(self) -> str:
        """Sentence with everything that is the same in every row."""
        first = next(iter(self.rows))
        texts = (title(first[0]), f"{first[1]} images per class", title(first[2]))
        same = [text for part, text in enumerate(texts) if part not in self.labels]
        protocol = {"minimax": "Minimax", "rded": "RDED"}[self.cells[0].protocol]
        return ", ".join([f"Top-1 accuracy in percent ({title(self.source)})", *same, f"{protocol} protocol"])

    def verdict(self, cell: Published) -> Verdict | None:
        """Return the verdict on a cell; None if it was not measured."""
        measured = self.measured.get(cell)
        if measured is None:
            return None
        return judge(measured.cell.best_pct, measured.cell.seeds, cell, why_not(measured, cell))


def why_not(measured: Measured, cell: Published) -> str:
    """Return why a measured accuracy cannot be compared with a published one; "" if it can."""
    if measured.changed:
        return measured.changed
    if not cell.validation_set:
        return "its source does not state the test images"
    if measured.validation_set != cell.validation_set:
        return f"measured on the test images of {measured.validation_set}, published on {cell.validation_set}"
    return ""


def ranked(means: Mapping[str, float]) -> dict[str, str]:
    """Return `BEST` and `SECOND` by unrounded means; ties share a mark, the full set has none."""
    competing = {name: mean for name, mean in means.items() if name != UNRANKED}
    steps = sorted(set(competing.values()), reverse=True)[:2]
    marks = dict(zip(steps, (BEST, SECOND), strict=False))
    return {name: marks[mean] for name, mean in competing.items() if mean in marks}


def published_marks(row: Mapping[str, Published]) -> dict[str, str]:
    """Rank the published accuracies of a row."""
    return ranked({method: cell.mean_pct for method, cell in row.items()})


def measured_marks(row: Mapping[str, Published], measured: Mapping[Published, Measured]) -> dict[str, str]:
    """Rank the measured accuracies of a row, omitting those on test images other than the most common."""
    in_row = {method: measured[cell] for method, cell in row.items() if cell in measured}
    sets = [(each.validation_set, each.cell.validation_images, each.changed) for each in in_row.values()]
    usual = max(sets, key=sets.count, default=None)
    return ranked(
        {
            method: each.cell.best.mean_pct
            for (method, each), own in zip(in_row.items(), sets, strict=True)
            if own == usual
        }
    )
