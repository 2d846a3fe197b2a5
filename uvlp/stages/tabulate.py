"""tabulate: scores -> one table in Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from uvlp.artifacts import scores, tables
from uvlp.artifacts.scores import Score
from uvlp.artifacts.tables import Cell, Table
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work, read_notes
from uvlp.tables.notes import on_comparisons, on_means, on_same_images
from uvlp.tables.table import texts

REVISION = 1
ACCURACIES = ("best", "last", "top5_best", "top5_last")


def run(work: Work) -> None:
    """Write `tables`.

    The task's inputs are the scores, whose facts say seed and repeat; its own facts are the table's name
    and caption, the cells with the inputs of each, and further notes.
    """
    from uvlp.tables.comparisons import Scored, compare_all

    facts = work.task.facts
    found = [_scores(work, entry) for entry in facts["cells"]]
    cells = [_cell(work, *pair) for pair in zip(facts["cells"], found, strict=True)]
    comparisons, remarks = compare_all(
        [Scored(cell=cell, scores=of_cell) for cell, of_cell in zip(cells, found, strict=True)]
    )
    passes = max(len(score.curve) for of_cell in found for score in of_cell.values())
    notes = [
        *on_means(cells, passes),
        *on_same_images(_with_same_images(work)),
        *on_comparisons(comparisons),
        *remarks,
        *facts["notes"],
        *_counted(work),
    ]
    table = Table(
        name=facts["name"],
        caption=facts["caption"],
        cells=tuple(cells),
        comparisons=tuple(comparisons),
        notes=tuple(notes),
    )
    tables.write(work.folder, table, texts(table))


def _scores(work: Work, entry: dict[str, Any]) -> dict[tuple[int, int], Score]:
    """The scores of a cell by (seed, repeat)."""
    tasks = [work.task.inputs[name] for name in entry["scores"]]
    found = {
        (task.facts["seed"], task.facts["repeat"]): scores.read(work.store.folder(task)) for task in tasks
    }
    assert len(found) == len(tasks), "two scores of one seed and repeat in a cell"
    return found


def _cell(work: Work, entry: dict[str, Any], found: dict[tuple[int, int], Score]) -> Cell:
    from uvlp.tables.uncertainty import summarise

    seeds = tuple(seed for seed, _ in found)
    first = next(iter(found.values()))
    values: dict[str, Any] = {}
    for name in ACCURACIES:
        pct = tuple(getattr(score, f"{name}_pct") for score in found.values())
        values[f"{name}_pct"] = pct = () if None in pct else pct
        values[name] = summarise(pct, seeds, first.validation_images) if pct else None
    return Cell(
        method=entry["method"],
        title=entry["title"],
        network=entry["network"],
        seeds=seeds,
        repeats=tuple(repeat for _, repeat in found),
        validation_set=first.validation_set,
        validation_images=first.validation_images,
        scores=tuple(work.task.inputs[name].name for name in entry["scores"]),
        **values,
    )


def _with_same_images(work: Work) -> list[str]:
    """Titles of the methods that have several seeds, and the same images in all of them."""
    found: dict[str, None] = {}
    for entry in work.task.facts["cells"]:
        tasks = [work.task.inputs[name] for name in entry["scores"]]
        images = {task.inputs["distilled"].key for task in tasks}
        if len({task.facts["seed"] for task in tasks}) > 1 and len(images) == 1:
            found[entry["title"]] = None
    return list(found)


def _counted(work: Work) -> Iterator[str]:
    """Notes on what the artifacts behind each method counted, e.g. missing captions; none twice."""
    seen: set[str] = set()
    for entry in work.task.facts["cells"]:
        for name in entry["scores"]:
            for task in _ancestors(work.task.inputs[name]):
                for line in _counted_by(work, task):
                    note = f"{entry['title']}: {line}"
                    if note not in seen:
                        seen.add(note)
                        yield note


def _counted_by(work: Work, task: Task) -> list[str]:
    folder = work.store.folder(task)
    if not folder.is_dir():  # deleted by hand since the scores were made
        return [f"no {task.kind} in the store, so that missing captions and the like are not counted here"]
    return [f"{count} {what}" for what, count in read_notes(folder).items()]


def _ancestors(task: Task) -> Iterator[Task]:
    yield task
    for earlier in task.inputs.values():
        yield from _ancestors(earlier)
