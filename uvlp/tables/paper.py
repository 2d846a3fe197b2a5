"""A published table in its published layout, with what was measured beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uvlp.artifacts.tables import Cell
from uvlp.tables.grids import BEST, SECOND
from uvlp.tables.published import Published, title
from uvlp.tables.verdicts import Verdict, judge

UNRANKED = "full"
"""The whole training set: no method competes with it."""
Row = tuple[str, int, str]
"""Dataset, images per class, network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A cell of a table in the store that stands for a published one.

    Attributes:
        cell: with its trainings.
        table: name of its table in the store.
        validation_set: its test images, as `Published.validation_set` names them.
        changed: the remark on settings that are not the protocol's; empty where there is none.
    """

    cell: Cell
    table: str
    validation_set: str
    changed: str = ""

    def show(self) -> str:
        """Mean, deviation, interval and number of trainings, e.g. "62.1 ± 0.5 (61.0 to 63.2; n 9)"."""
        best = self.cell.best
        interval = best.show_interval()
        return f"{best.show()} ({interval}; n {best.trainings})" if interval else f"{best.show()} (n 1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """A published table and what was measured of it.

    Attributes:
        name: on the command line.
        cells: in the order of the source.
        measured: of those that were measured.
    """

    name: str
    cells: Sequence[Published]
    measured: Mapping[Published, Measured]

    @property
    def source(self) -> str:
        """Where it was published."""
        return self.cells[0].source

    @property
    def methods(self) -> list[str]:
        """Columns, in the order of the source."""
        return list(dict.fromkeys(cell.method for cell in self.cells))

    @property
    def rows(self) -> dict[Row, dict[str, Published]]:
        """Cells by method, row by row."""
        rows: dict[Row, dict[str, Published]] = {}
        for cell in self.cells:
            rows.setdefault((cell.dataset, cell.ipc, cell.network), {})[cell.method] = cell
        return rows

    @property
    def labels(self) -> list[int]:
        """Which parts of a `Row` differ among the rows, so that they stand in columns."""
        return [part for part in range(3) if len({row[part] for row in self.rows}) > 1]

    @property
    def caption(self) -> str:
        """One sentence with all that is the same in every row."""
        first = next(iter(self.rows))
        texts = (title(first[0]), f"{first[1]} images per class", title(first[2]))
        same = [text for part, text in enumerate(texts) if part not in self.labels]
        protocol = {"minimax": "Minimax", "rded": "RDED"}[self.cells[0].protocol]
        return ", ".join([f"Top-1 accuracy in percent ({title(self.source)})", *same, f"{protocol} protocol"])

    def verdict(self, cell: Published) -> Verdict | None:
        """On a cell that was measured."""
        found = self.measured.get(cell)
        if found is None:
            return None
        return judge(found.cell.best_pct, found.cell.seeds, cell, why_not(found, cell))


def why_not(measured: Measured, cell: Published) -> str:
    """What forbids to compare a measured with a published accuracy; "" where nothing does."""
    if measured.changed:
        return measured.changed
    if not cell.validation_set:
        return "its source does not state the test images"
    if measured.validation_set != cell.validation_set:
        return f"measured on the test images of {measured.validation_set}, published on {cell.validation_set}"
    return ""


def ranked(means: Mapping[str, float]) -> dict[str, str]:
    """`BEST` and `SECOND` of a row by unrounded means; equal ones share a mark, the whole set has none."""
    competing = {name: mean for name, mean in means.items() if name != UNRANKED}
    steps = sorted(set(competing.values()), reverse=True)[:2]
    marks = dict(zip(steps, (BEST, SECOND), strict=False))
    return {name: marks[mean] for name, mean in competing.items() if mean in marks}


def published_marks(row: Mapping[str, Published]) -> dict[str, str]:
    """Of the published accuracies of a row."""
    return ranked({method: cell.mean_pct for method, cell in row.items()})


def measured_marks(row: Mapping[str, Published], measured: Mapping[Published, Measured]) -> dict[str, str]:
    """Of the measured accuracies of a row; those on other test images than the most are left out."""
    found = {method: measured[cell] for method, cell in row.items() if cell in measured}
    sets = [(each.validation_set, each.cell.validation_images, each.changed) for each in found.values()]
    usual = max(sets, key=sets.count, default=None)
    return ranked(
        {
            method: each.cell.best.mean_pct
            for (method, each), own in zip(found.items(), sets, strict=True)
            if own == usual
        }
    )
