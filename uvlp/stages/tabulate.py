"""tabulate: scores -> one table in Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from uvlp.artifacts import scores, tables
from uvlp.artifacts.task import Task, read_manifest
from uvlp.artifacts.work import Work, read_notes
from uvlp.tables.notes import on_devices
from uvlp.tables.table import texts

REVISION = 4


def run(work: Work) -> None:
    """Write `tables`.

    The task's inputs are the scores, whose facts have seed and repeat; its own facts are the table's name
    and caption, the cells with the inputs of each, and further notes.
    """
    from uvlp.tables.measured import Training, measured_table

    trainings = {
        name: Training(
            name=task.name,
            seed=task.facts["seed"],
            repeat=task.facts["repeat"],
            images=task.inputs["distilled"].key,
            score=scores.read(work.store.folder(task)),
        )
        for name, task in work.task.inputs.items()
    }
    table = measured_table(work.task.facts, trainings, [*_counted(work), *on_devices(_made(work))])
    tables.write(work.folder, table, texts(table))


def _counted(work: Work) -> Iterator[str]:
    """Notes on the counts of the artifacts behind each method, e.g. missing captions, without repetition."""
    for title, tasks in _behind(work).items():
        lines: dict[str, None] = {}
        deleted: dict[str, None] = {}
        for task in tasks:
            folder = work.store.folder(task)
            if folder.is_dir():
                lines |= dict.fromkeys(f"{count} {what}" for what, count in read_notes(folder).items())
            else:  # deleted by hand after scoring
                deleted[task.kind] = None
        yield from (f"{title}: {line}" for line in lines)
        if deleted:
            kinds = ", ".join(deleted)
            yield f"{title}: no {kinds} in the store, so that missing captions and the like are not counted"


def _made(work: Work) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Kind, stage and facts about the machine of everything behind the table that exists."""
    behind = {task.key: task for tasks in _behind(work).values() for task in tasks}
    for task in behind.values():
        with contextlib.suppress(FileNotFoundError):  # deleted by hand after scoring
            yield task.kind, task.stage, read_manifest(work.store.folder(task)).get("made", {})


def _behind(work: Work) -> dict[str, list[Task]]:
    """The scores of each method and all artifacts they were made from, by the method's title."""
    tasks: dict[str, list[Task]] = {}
    for entry in work.task.facts["cells"]:
        for name in entry["scores"]:
            tasks.setdefault(entry["title"], []).extend(_ancestors(work.task.inputs[name]))
    return tasks


def _ancestors(task: Task) -> Iterator[Task]:
    yield task
    for earlier in task.hashed.values():
        yield from _ancestors(earlier)
