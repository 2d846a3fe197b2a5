"""tabulate: scores -> one table in Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uvlp.artifacts import scores, tables
from uvlp.artifacts.manifest import Task
from uvlp.artifacts.tables import Cell, Table
from uvlp.artifacts.work import Work, read_notes


def run(work: Work) -> None:
    """Write `tables`; the task's inputs are the scores, its facts say which cell each belongs to."""
    facts = work.task.facts
    folders = {name: work.store.folder(task) for name, task in work.task.inputs.items()}
    results = {name: scores.read(folder) for name, folder in folders.items()}
    cells = tuple(_cell(work, entry, results) for entry in facts["cells"])
    table = Table(
        name=facts["name"],
        caption=facts["caption"],
        cells=cells,
        notes=tuple(_notes(work, results)),
    )
    tables.write(work.folder, table)


def _cell(work: Work, entry: dict[str, Any], results: dict[str, scores.Score]) -> Cell:
    names = entry["scores"]
    return Cell(
        method=entry["method"],
        title=entry["title"],
        network=entry["network"],
        best_pct=tuple(results[name].best_pct for name in names),
        last_pct=tuple(results[name].last_pct for name in names),
        scores=tuple(work.task.inputs[name].name for name in names),
    )


def _notes(work: Work, results: dict[str, scores.Score]) -> Iterator[str]:
    facts = work.task.facts
    score = next(iter(results.values()))
    count = facts["seeds"] * facts["repeats"]
    # The lowest accuracy has the largest error.
    share = max(0.5, min(result.best_pct for result in results.values()) / 100)
    error_pct = 100 * (share * (1 - share) / score.validation_images) ** 0.5
    yield (
        f"mean ± sample standard deviation (ddof 1) of {count} trainings "
        f"({facts['seeds']} seed(s) × {facts['repeats']} repeat(s)), percent"
    )
    yield (
        f"best: highest of {len(score.curve)} validation passes, so selected on the test images, "
        "as published; last: after the last epoch"
    )
    yield (
        f"scored on {score.validation_images} test images of {facts['dataset']}: "
        f"binomial standard error {error_pct:.1f} points at {100 * share:.0f} %"
    )
    yield from facts["notes"]
    for method, name, count in _counted(work):
        yield f"{method}: {count} {name}"


def _counted(work: Work) -> Iterator[tuple[str, str, Any]]:
    """What the artifacts behind each method counted, e.g. missing captions; each said once."""
    seen: set[tuple[str, str, Any]] = set()
    for entry in work.task.facts["cells"]:
        for name in entry["scores"]:
            for folder in _ancestors(work, work.task.inputs[name]):
                for what, count in read_notes(folder).items():
                    line = (entry["title"], what, count)
                    if line not in seen:
                        seen.add(line)
                        yield line


def _ancestors(work: Work, task: Task) -> Iterator[Path]:
    yield work.store.folder(task)
    for earlier in task.inputs.values():
        yield from _ancestors(work, earlier)
