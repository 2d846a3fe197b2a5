"""`--rerun N`: train only repeat N again, and compare its scores bit for bit with the stored ones."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from uvlp.artifacts import scores
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.core import machine, plugins, portable
from uvlp.core.display import views
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.scheduling import workers
from uvlp.core.scheduling.cards import Parallel
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.estimates import needs as estimated
from uvlp.pipeline.making import remaining
from uvlp.pipeline.prepare import Plan


def rerun(plan: Plan, store: Store, repeat: int, parallel: Parallel) -> list[Task]:
    """Train every network of one repeat again on the given workers, without changing the store.

    Returns:
        The trainings, all of which reproduced the stored scores.

    Raises:
        UvlpError: that repeat is not stored, an artifact of the run is damaged, or a score differs.
    """
    for task, name in remaining.damage(plan, store):
        raise remaining.damaged(task, name, "re-run with --force and without --rerun to rebuild it")
    store.save_verified()
    evaluations = [task for task in plan.tasks if task.stage == "evaluate"]
    stored = _stored_repeats(evaluations, store)
    if repeat > stored:
        raise UvlpError(
            "--rerun: that repeat is not stored for every method, network and seed",
            got=repeat,
            allowed=f"1 to {stored}" if stored else "none is stored yet",
            fix="run the command without --rerun first, with --repeats for more repeats",
        )
    repeated = [task for task in evaluations if task.facts["repeat"] == repeat]
    workers.run(
        repeated,
        partial(_train_again, store.root),
        parallel=parallel,
        environment=machine.thread_environment(),
        view=views.view(len(repeated)),
        needs=estimated.on_machine(parallel),
    )
    return repeated


def _stored_repeats(evaluations: list[Task], store: Store) -> int:
    """Return the highest N such that repeats 1 to N are all stored."""
    missing = [task.facts["repeat"] for task in evaluations if not store.has(task)]
    return min(missing) - 1 if missing else max(task.facts["repeat"] for task in evaluations)


def _train_again(root: Path, task: Task, progress: Progress, cards: tuple[str, ...]) -> None:
    machine.single_thread()
    if task.portable:
        portable.begin(torch=True)
    store = Store(root)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(
            task=task,
            folder=Path(folder),
            store=store,
            progress=progress,
            open_dataset=open_dataset,
            cards=cards,
        )
        plugins.load("stages", task.stage).run(work)
        new, stored = scores.read(Path(folder)), scores.read(store.folder(task))
    if new != stored:
        raise UvlpError(
            f"not the same score: {task.title} ({task.name})",
            got=_numbers(new),
            allowed=f"{_numbers(stored)} and the same bit for every image",
            fix="another processor, GPU or package version rounds differently (see its manifest.json); "
            "on a GPU only --set evaluate.deterministic=true gives the same bits",
        )


def _numbers(score: scores.Score) -> str:
    """Format the accuracies of a score in percent."""
    text = f"best {score.best_pct:.2f}, last {score.last_pct:.2f}"
    if score.top5_best_pct is None:
        return text
    return f"{text}, top-5 best {score.top5_best_pct:.2f}, top-5 last {score.top5_last_pct:.2f}"
