"""What `reproduce`, `evaluate` and `table` return."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uvlp.api import charts
from uvlp.api.html import table_html
from uvlp.artifacts.store import Store as Artifacts
from uvlp.artifacts.tables import Table
from uvlp.tables.paper import PaperTable
from uvlp.tables.paper_texts import comma_separated
from uvlp.tables.table import means, printed, screen

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Result:
    """The table of a run.

    Attributes:
        table: its cells, comparisons and notes (`artifacts/tables.py`).
        artifact: ``kind/key`` in the store, which `reproduce(artifact=...)` and `uvlp reproduce --from` take.
        store: the store of the artifacts.
        notes: what the run noted on the way.
        artifacts: ``kind/key`` by title, of everything that the run needed.
    """

    table: Table
    artifact: str
    store: Artifacts
    notes: Sequence[str] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)

    def to_frame(self) -> pandas.DataFrame:
        """Return a row per training: method, network, seed, repeat and accuracies in percent."""
        return self.table.to_frame()

    def plot(self) -> Any:
        """Return a chart of altair: means with 95 % intervals, and a tick for every training."""
        return charts.accuracies(self.table)

    def config(self) -> str:
        """Return the run as a config file for `config=` and `uvlp reproduce --config`.

        Raises:
            UvlpError: an earlier version made the table, which does not record it.
        """
        import tomlkit

        from uvlp.pipeline.requests import config
        from uvlp.pipeline.requests.content import VERSION, VERSION_KEY

        return tomlkit.dumps({VERSION_KEY: VERSION, **config.recorded(self.store, self.artifact)[1]})

    def __str__(self) -> str:
        return screen(self.table)

    def __repr__(self) -> str:
        return f"<Result {self.table.name}: {', '.join(map(self.table.title, self.table.rows))}>"

    def _repr_html_(self) -> str:
        grid = means(printed(self.table))
        return table_html(self.table.caption, grid.head, grid.body, self.table.notes)


@dataclass(frozen=True)
class PublishedTable:
    """A published table with what the store measured beside it."""

    table: PaperTable

    @property
    def rows(self) -> list[dict[str, str]]:
        """A row per cell, as in the CSV file; what is not measured is empty."""
        return list(csv.DictReader(io.StringIO(comma_separated(self.table))))

    def to_frame(self) -> pandas.DataFrame:
        """Return the rows as a frame of pandas, with numbers where there are some."""
        import pandas

        return pandas.read_csv(io.StringIO(comma_separated(self.table)))

    def plot(self) -> Any:
        """Return a chart of altair: published and measured means by method and dataset."""
        return charts.published(self.rows)

    def __repr__(self) -> str:
        measured = f"{len(self.table.measured)} of {len(self.table.cells)} cells measured"
        return f"<PublishedTable {self.table.name}: {measured}>"

    def _repr_html_(self) -> str:
        rows = self.rows
        return table_html(self.table.name, list(rows[0]), [list(row.values()) for row in rows], ())
