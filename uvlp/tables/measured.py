"""Scores -> the table that shows them: cells, comparisons and notes. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts.scores import Score
from uvlp.artifacts.tables import Cell, Table
from uvlp.tables.comparisons import Scored, compare_all
from uvlp.tables.notes import on_comparisons, on_means, on_same_images
from uvlp.tables.uncertainty import summarise

ACCURACIES = ("best", "last", "top5_best", "top5_last")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A score, and what its table has to know about it.

    Attributes:
        name: of the artifact, e.g. ``scores/0123456789abcdef``.
        seed: of the images.
        repeat: 1-based.
        images: key of the images that were trained on.
        score: the result.
    """

    name: str
    seed: int
    repeat: int
    images: str
    score: Score


def measured_table(
    facts: Mapping[str, Any], trainings: Mapping[str, Training], counted: Iterable[str]
) -> Table:
    """The table of a task's ``facts``: its name, caption, the cells with the trainings of each, and notes.

    Args:
        facts: of the table's task (`pipeline/planning/planner.py`).
        trainings: by the names that the cells give them.
        counted: notes on what the artifacts behind the scores counted; the last of the table's notes.
    """
    found = [[trainings[name] for name in entry["scores"]] for entry in facts["cells"]]
    cells = [_cell(entry, of_cell) for entry, of_cell in zip(facts["cells"], found, strict=True)]
    comparisons, remarks = compare_all(
        [Scored(cell=cell, scores=_by_training(each)) for cell, each in zip(cells, found, strict=True)]
    )
    passes = max(len(one.score.curve) for of_cell in found for one in of_cell)
    notes = [
        *on_means(cells, passes),
        *on_same_images(_with_same_images(facts["cells"], found)),
        *on_comparisons(comparisons),
        *remarks,
        *facts["notes"],
        *counted,
    ]
    return Table(
        name=facts["name"],
        caption=facts["caption"],
        cells=tuple(cells),
        comparisons=tuple(comparisons),
        notes=tuple(notes),
    )


def _by_training(trainings: Sequence[Training]) -> dict[tuple[int, int], Score]:
    found = {(one.seed, one.repeat): one.score for one in trainings}
    assert len(found) == len(trainings), "two scores of one seed and repeat in a cell"
    return found


def _cell(entry: Mapping[str, Any], trainings: Sequence[Training]) -> Cell:
    seeds, first = tuple(one.seed for one in trainings), trainings[0].score
    values: dict[str, Any] = {}
    for name in ACCURACIES:
        pct = tuple(getattr(one.score, f"{name}_pct") for one in trainings)
        values[f"{name}_pct"] = pct = () if None in pct else pct
        values[name] = summarise(pct, seeds, first.validation_images) if pct else None
    return Cell(
        method=entry["method"],
        title=entry["title"],
        network=entry["network"],
        seeds=seeds,
        repeats=tuple(one.repeat for one in trainings),
        validation_set=first.validation_set,
        validation_images=first.validation_images,
        scores=tuple(one.name for one in trainings),
        **values,
    )


def _with_same_images(entries: Sequence[Mapping[str, Any]], found: Sequence[Sequence[Training]]) -> list[str]:
    """Titles of the methods that have several seeds, and the same images in all of them."""
    titles: dict[str, None] = {}
    for entry, trainings in zip(entries, found, strict=True):
        if len({one.seed for one in trainings}) > 1 and len({one.images for one in trainings}) == 1:
            titles[entry["title"]] = None
    return list(titles)
