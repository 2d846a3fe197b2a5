"""tabulate: scores -> one table in Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterator

from uvlp.artifacts import scores, tables
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work, read_notes
from uvlp.tables.table import texts

REVISION = 1


def run(work: Work) -> None:
    """Write `tables`.

    The task's inputs are the scores, whose facts say seed and repeat; its own facts are the table's name
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
    table = measured_table(work.task.facts, trainings, _counted(work))
    tables.write(work.folder, table, texts(table))


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
