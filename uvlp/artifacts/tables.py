"""`tables`: measured cells with their scores, as JSON, Markdown, LaTeX and CSV.

Files: `table.json` (everything), `table.md`, `table.tex`, `table.csv` (one row per training).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts.scores import Score
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files

if TYPE_CHECKING:
    import pandas

KIND = "tables"
SCHEMA = 2
FILE = "table.json"
MEANINGLESS = "the numbers mean nothing"
"""In a note of a table of which no verdict is printed."""
FORMATS = {"markdown": "table.md", "latex": "table.tex", "csv": "table.csv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Mean of the accuracies of several trainings, percent, with its uncertainty.

    Attributes:
        mean_pct: mean over all trainings.
        std_pct: standard deviation over all trainings; None for one training.
        ddof: delta degrees of freedom of ``std_pct``.
        trainings: number of accuracies.
        low_pct, high_pct: 95 % confidence interval of the mean; None for one training.
        basis: "seeds" or "repeats", whose means the interval takes as independent; "" for one training.
        binomial_error_points: standard error of an accuracy of ``mean_pct`` on these test images.
        wilson_low_pct, wilson_high_pct: 95 % Wilson score interval of the same.
    """

    mean_pct: float
    std_pct: float | None
    ddof: int
    trainings: int
    low_pct: float | None
    high_pct: float | None
    basis: str
    binomial_error_points: float
    wilson_low_pct: float
    wilson_high_pct: float

    def show(self, sign: str = "±") -> str:
        """Mean and standard deviation, e.g. "92.0 ± 2.0"."""
        spread = "" if self.std_pct is None else f" {sign} {self.std_pct:.1f}"
        return f"{self.mean_pct:.1f}{spread}"

    def show_interval(self) -> str:
        """The interval of the mean, e.g. "87.0 to 97.0"; "" for one training."""
        if self.low_pct is None or self.high_pct is None:
            return ""
        return f"{self.low_pct:.1f} to {self.high_pct:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One method scored with one network.

    Attributes:
        method: method name with its variant, as on the command line.
        title: method name shown in tables.
        network: network name.
        seeds: seed of each training.
        repeats: 1-based repeat of each training; all values below are in this order.
        best_pct: best accuracy of each training, percent.
        last_pct: last accuracy of each training, percent.
        top5_best_pct, top5_last_pct: top-5 accuracies of the same passes; empty below five classes.
        best, last: summaries of ``best_pct`` and ``last_pct``.
        top5_best, top5_last: summaries of the top-5 accuracies; None below five classes.
        validation_set: description of the validation images.
        validation_images: their number.
        scores: names of the score artifacts.
        soft_label_mb: size of the soft labels that one training learned: float16 for every training image in
            every epoch, as FKD stores them; None with hard labels.
    """

    method: str
    title: str
    network: str
    seeds: tuple[int, ...]
    repeats: tuple[int, ...]
    best_pct: tuple[float, ...]
    last_pct: tuple[float, ...]
    top5_best_pct: tuple[float, ...]
    top5_last_pct: tuple[float, ...]
    best: Summary
    last: Summary
    top5_best: Summary | None
    top5_last: Summary | None
    validation_set: str
    validation_images: int
    scores: tuple[str, ...]
    soft_label_mb: float | None = None

    @property
    def classes(self) -> int | None:
        """Number of classes, as the name of the validation set has it; None where it has none."""
        found = re.search(r", (\d+) classes$", self.validation_set)
        return int(found[1]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One method against another with one network, paired image by image.

    Attributes:
        method: method name with its variant.
        reference: the method it is compared with.
        network: network that scored both.
        which: "best" or "last", the validation pass that is compared.
        pairs: trainings of equal seed and repeat on both sides.
        basis: "seeds" or "repeats", whose mean differences are taken as independent; "images" for one pair.
        difference_points: accuracy of ``method`` minus that of ``reference``, percentage points.
        low_points, high_points: 95 % confidence interval of this difference alone.
        p_value: two-sided, of this difference alone.
        p_holm: the same after Holm's correction over the methods of one column.
        verdict: "better", "worse" or "cannot tell", by ``p_holm``.
        decided_by: trainings at which about it would no longer be "cannot tell"; 0 where the test images
            alone are too few, None where it is not known, or not needed.
    """

    method: str
    reference: str
    network: str
    which: str
    pairs: int
    basis: str
    difference_points: float
    low_points: float
    high_points: float
    p_value: float
    p_holm: float
    verdict: str
    decided_by: int | None = None

    def show(self) -> str:
        """Difference with its interval, e.g. "+1.3 (-0.4 to +3.0)"."""
        return f"{self.difference_points:+.1f} ({self.low_points:+.1f} to {self.high_points:+.1f})"

    def show_p(self) -> str:
        """The corrected p-value, e.g. "0.23", "0.042" or "< 0.001"."""
        if self.p_holm < 0.001:
            return "< 0.001"
        return f"{self.p_holm:.3f}" if self.p_holm < 0.1 else f"{self.p_holm:.2f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All cells of one run.

    Attributes:
        name: e.g. ``digits-ipc10``.
        caption: one sentence: dataset, IPC, protocol, profile.
        cells: method by method.
        comparisons: every other method against one reference; per method and network best, then last. Of
            ablations: the first method against each of the others.
        notes: notes for the reader, one sentence each.
        ablations: what each ablation of the first method removes, by method; empty if there are none.
    """

    name: str
    caption: str
    cells: tuple[Cell, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    ablations: Mapping[str, str] = field(default_factory=dict)

    @property
    def networks(self) -> list[str]:
        """Network names in order."""
        return list(dict.fromkeys(cell.network for cell in self.cells))

    @property
    def rows(self) -> dict[str, list[Cell]]:
        """Cells by method, in order."""
        rows: dict[str, list[Cell]] = {}
        for cell in self.cells:
            rows.setdefault(cell.method, []).append(cell)
        return rows

    def title(self, method: str) -> str:
        """Return the title of a method."""
        return next(cell.title for cell in self.cells if cell.method == method)

    def trainings(self) -> Iterator[dict[str, str | int | float | None]]:
        """Yield a row per training by name of the column, unrounded; top-5 is None below five classes."""
        for cell in self.cells:
            missing = (None,) * len(cell.scores)
            values = {
                "seed": cell.seeds,
                "repeat": cell.repeats,
                "best_pct": cell.best_pct,
                "last_pct": cell.last_pct,
                "top5_best_pct": cell.top5_best_pct or missing,
                "top5_last_pct": cell.top5_last_pct or missing,
            }
            for row, score in enumerate(cell.scores):
                yield {
                    "table": self.name,
                    "method": cell.method,
                    "network": cell.network,
                    **{name: column[row] for name, column in values.items()},
                    "validation_set": cell.validation_set,
                    "validation_images": cell.validation_images,
                    "score": score,
                }

    def to_frame(self) -> pandas.DataFrame:
        """Return the rows of :meth:`trainings` as a frame of pandas, which is no dependency of UVLP.

        Raises:
            UvlpError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            fix = "install it beside uvlp, or use `uvlp table NAME --format csv`"
            raise UvlpError("pandas is not installed", got=self.name, fix=fix) from error
        return pandas.DataFrame([*self.trainings()])


def as_json(table: Table) -> str:
    """Return the text of `table.json`."""
    values = asdict(table)
    # Where there are none: the form of tables from before there were any.
    if not table.ablations:
        del values["ablations"]
    for cell in values["cells"]:
        if cell["soft_label_mb"] is None:
            del cell["soft_label_mb"]
    return json.dumps({"schema": SCHEMA, **values}, indent=1, ensure_ascii=False) + "\n"


def write(folder: Path, table: Table, texts: Mapping[str, str]) -> None:
    """Write all four files in UTF-8; ``texts`` is the table in each of `FORMATS`."""
    (folder / FILE).write_text(as_json(table), encoding="utf-8")
    for form, name in FORMATS.items():
        (folder / name).write_text(texts[form], encoding="utf-8")


def read(folder: Path) -> Table:
    """Read the table of a finished artifact.

    A table of an earlier schema is returned without cells and comparisons, so that it can still be listed;
    its other files are printed as written.

    Raises:
        UvlpError: it is damaged.
        OSError: it cannot be read.
    """
    path = folder / FILE
    values = json_files.read_object(path)
    if values.pop("schema", None) != SCHEMA:
        kept = {name: value for name, value in values.items() if name in ("name", "caption", "notes")}
        values = {**kept, "cells": [], "comparisons": []}
    try:
        return json_files.build(Table, values)
    except ValueError as error:
        raise json_files.damaged(path, error) from error


def contradiction(cell: Cell, score: Callable[[str], Score | None]) -> str:
    """Return how a cell contradicts its scores, or its mean its accuracies; "" if they agree.

    Args:
        cell: cell of a table.
        score: returns a score by name, e.g. ``scores/0123456789abcdef``; None if it no longer exists.
    """
    for which, pcts, summary in (
        ("best", cell.best_pct, cell.best),
        ("last", cell.last_pct, cell.last),
        ("top5_best", cell.top5_best_pct, cell.top5_best),
        ("top5_last", cell.top5_last_pct, cell.top5_last),
    ):
        if summary is None and not pcts:
            continue  # below five classes
        if summary is None or len(pcts) != len(cell.scores):
            return f"{cell.title}, {cell.network}: {which} is not present for every training"
        mean = summary.mean_pct
        if not math.isclose(mean, math.fsum(pcts) / len(pcts)):
            return f"{cell.title}, {cell.network}: mean {which} {mean:.2f} does not agree with its trainings"
        for name, pct in zip(cell.scores, pcts, strict=True):
            stored = score(name)
            if stored is not None and getattr(stored, f"{which}_pct") != pct:
                return f"{cell.title}, {cell.network}: {which} {pct:.2f} does not agree with {name}"
    return ""
