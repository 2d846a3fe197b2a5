"""Building of a table from scores: cells, comparisons and notes. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts.scores import Score
from uvlp.artifacts.tables import Cell, Table
from uvlp.tables.comparisons import Scored, compare_ablations, compare_all
from uvlp.tables.notes import on_comparisons, on_means, on_same_images, on_soft_labels
from uvlp.tables.uncertainty import summarise

FLOAT16 = 2
"""Bytes of a number in the labels that FKD stores (evaluation.md 5.2)."""
ACCURACIES = ("best", "last", "top5_best", "top5_last")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A score with the facts that its table needs.

    Attributes:
        name: name of the artifact, e.g. ``scores/0123456789abcdef``.
        seed: seed of the distilled images.
        repeat: 1-based repeat.
        images: key of the training images.
        score: the score.
    """

    name: str
    seed: int
    repeat: int
    images: str
    score: Score


def measured_table(
    facts: Mapping[str, Any], trainings: Mapping[str, Training], counted: Iterable[str]
) -> Table:
    """Build the table of a task's ``facts``: name, caption, cells with their trainings, notes, ablations.

    Args:
        facts: facts of the table's task (`pipeline/planning/planner.py`).
        trainings: trainings by their names in the cells.
        counted: notes with counts from the artifacts behind the scores, appended to the table's notes.
    """
    by_cell = [[trainings[name] for name in entry["scores"]] for entry in facts["cells"]]
    cells = [_cell(entry, of_cell) for entry, of_cell in zip(facts["cells"], by_cell, strict=True)]
    scored = [Scored(cell=cell, scores=_by_training(each)) for cell, each in zip(cells, by_cell, strict=True)]
    ablations = facts.get("ablations", {})
    comparisons, remarks = compare_ablations(scored) if ablations else compare_all(scored)
    passes = max(len(each.score.curve) for of_cell in by_cell for each in of_cell)
    notes = [
        *on_means(cells, passes),
        *on_soft_labels(cells),
        *on_same_images(_with_same_images(facts["cells"], by_cell)),
        *on_comparisons(comparisons, ablations),
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
        ablations=ablations,
    )


def _by_training(trainings: Sequence[Training]) -> dict[tuple[int, int], Score]:
    by_training = {(each.seed, each.repeat): each.score for each in trainings}
    assert len(by_training) == len(trainings), "two scores of the same seed and repeat in a cell"
    return by_training


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
        soft_label_mb=_soft_label_mb(entry, first),
        **values,
    )


def _soft_label_mb(entry: Mapping[str, Any], score: Score) -> float | None:
    epochs = entry.get("soft_label_epochs")
    return epochs * score.train_images * entry["classes"] * FLOAT16 / 1e6 if epochs else None


def _with_same_images(
    entries: Sequence[Mapping[str, Any]], by_cell: Sequence[Sequence[Training]]
) -> list[str]:
    """Return the titles of methods with several seeds but the same images in all of them."""
    titles: dict[str, None] = {}
    for entry, trainings in zip(entries, by_cell, strict=True):
        if len({one.seed for one in trainings}) > 1 and len({one.images for one in trainings}) == 1:
            titles[entry["title"]] = None
    return list(titles)
