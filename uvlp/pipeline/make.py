"""plan -> artifacts: make what the store does not hold, in order, on the workers."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from uvlp.artifacts.checks import made_anew
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, chain
from uvlp.artifacts.work import Work
from uvlp.core import machine, plugins, portable, streams, views, workers
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import changed_during_read
from uvlp.core.progress import Progress
from uvlp.models.published import find
from uvlp.pipeline import disk, preflight
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.estimates.least import of_store
from uvlp.pipeline.prepare import Plan


def damage(plan: Plan, store: Store) -> Iterator[tuple[Task, str]]:
    """The finished artifacts of the chain that are not as made, each with the file that is not and why."""
    for task in filter(store.has, chain(plan.goal)):
        name = store.damage(task)
        if name is not None:
            yield task, name


def damaged(task: Task, name: str, fix: str) -> UvlpError:
    """The error for a file of an artifact that is not as made, and for what to do about it."""
    return UvlpError(
        f"damaged artifact {task.name} ({task.title}): {name} is missing or not as made", fix=fix
    )


DECODING = ("pixels", "collect")
"""Stages that read images once in minutes and wait for nothing."""


def find_damage(plan: Plan, store: Store, force: bool) -> list[Task]:
    """Compare every finished artifact of the chain with its manifest; the tasks that have to be rebuilt.

    Raises:
        UvlpError: an artifact is damaged and ``force`` is off; with ``force`` it is deleted instead, and what
            is missing behind finished artifacts is rebuilt too.
    """
    deleted = []
    for task, name in damage(plan, store):
        if not force:
            raise damaged(task, name, "run again with --force to rebuild it")
        print(f"note   {task.name}: {name} is damaged, rebuilding", file=sys.stderr)
        aside = store.remove(task)
        if aside:
            print(
                f"note   {task.name}: files that its manifest does not list are in {aside}", file=sys.stderr
            )
        deleted.append(task)
    if force:
        deleted += _gone(plan, store, deleted)
    goal = plan.goal
    if deleted and goal not in deleted and goal.stage == "tabulate" and store.has(goal):
        print(f"note   {goal.name}: made again from what is rebuilt", file=sys.stderr)
        store.remove(goal)
        deleted.append(goal)
    store.save_verified()
    return deleted


def _gone(plan: Plan, store: Store, deleted: Sequence[Task]) -> list[Task]:
    """What finished artifacts were made from and is not there: a rebuilding that was interrupted left it so.

    A table made without it would lack what it counted.
    """
    known = {task.key for task in deleted}
    gone = {
        earlier.key: earlier
        for task in filter(store.has, chain(plan.goal))
        for earlier in task.inputs.values()
        if earlier.key not in known and not store.has(earlier)
    }
    for task in gone.values():
        print(f"note   {task.name}: missing behind finished artifacts, rebuilding", file=sys.stderr)
    return list(gone.values())


def missing(plan: Plan, store: Store, rebuild: Sequence[Task] = ()) -> list[Task]:
    """What has to be made: the targets that are not there, and what they need that is not there.

    The targets are the artifacts of the last stage that is asked for, and ``rebuild``.
    """
    tasks = plan.tasks
    targets = [task for task in tasks if task.stage == plan.until or task in rebuild] or tasks
    needed: set[str] = set()

    def want(task: Task) -> None:
        if task.key in needed or store.has(task):
            return
        needed.add(task.key)
        for earlier in task.inputs.values():
            want(earlier)

    for target in targets:
        want(target)
    found = [task for task in tasks if task.key in needed]

    measured = [task for task in found if task.stage == "teacher" and task.settings.source != "trained"]
    early = {each.key for task in measured for each in (task, *task.inputs.values())}
    early |= {task.key for task in found if task.stage in DECODING}

    # Evaluations wait for nothing but their images and nothing waits for them: the long chain
    # of models goes first, and of the evaluations the longest. Captions that are incomplete are known
    # before hours of features; before hours of anything, that a given teacher knows other classes, and that
    # an image cannot be decoded.
    def rank(task: Task) -> tuple[bool, bool, bool, bool]:
        late = task.key not in early
        return task.stage == "evaluate", late and not task.whole_set, late, task.stage != "caption"

    return sorted(found, key=rank)


def execute(root: Path, task: Task, progress: Progress) -> None:
    """Make one artifact; called in a worker.

    Raises:
        UvlpError: the input is wrong or the store cannot be written.
    """
    if task.portable:
        portable.begin(torch=task.stage != "tabulate")
    if task.stage == "tabulate":  # needs no torch
        _write(root, task, progress)
        return
    machine.single_thread()
    machine.release_gpu()
    try:
        _write(root, task, progress)
    finally:
        # What an idle worker still held, the stage of another one could not have.
        machine.release_gpu()


def _write(root: Path, task: Task, progress: Progress) -> None:
    """Let the task's stage fill a folder, and keep it with the facts of this machine."""
    store = Store(root)
    began = time.monotonic()
    with store.making(task, progress.log) as folder:
        if folder is None:
            return
        work = Work(task=task, folder=folder, store=store, progress=progress, open_dataset=open_dataset)
        models = _model_marks(task, store)
        plugins.load("stages", task.stage).run(work)
        if _model_marks(task, store) != models:
            raise changed_during_read(Path(", ".join(task.origins.values())))
        store.commit(task, folder, _made(time.monotonic() - began, task))


def _model_marks(task: Task, store: Store) -> list[Any]:
    """Of the published models that a task reads: too large to be held in memory and compared there."""
    hashes = task.facts.get("models", {})
    return [find.marks(task.origins[name], sha256, store.cache) for name, sha256 in hashes.items()]


def _made(seconds: float, task: Task) -> dict[str, Any]:
    """Machine facts for the manifest."""
    computed = task.stage != "tabulate"
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 2),
        "peak_memory_mb": machine.peak_memory_mb(),
        "host": platform.node(),
        "gpu": machine.gpu_name() if computed else None,
        "gpu_peak_memory_mb": machine.gpu_peak_memory_mb() if computed else None,
        "driver": machine.driver_version(),
        # The snapshot of a hub repository is named by its commit.
        "origins": dict(task.origins),
        "dataset": task.dataset_spec.place if task.dataset_spec else "",
        "threads": 1,
        "versions": machine.versions(),
    }


def make(plan: Plan, store: Store, count: int, rebuild: Sequence[Task] = ()) -> int:
    """Make what is missing on ``count`` worker processes; the number of artifacts made.

    Args:
        plan: a complete one.
        store: where to make it.
        count: worker processes.
        rebuild: artifacts to make even where nothing that is missing needs them.

    Raises:
        UvlpError: bad input, found before anything is made or by a stage.
        WorkerFailed: a stage failed in a way that is not the user's fault.
    """
    todo = missing(plan, store, rebuild)
    if not todo:
        return 0
    check(plan, store, todo)
    preflight.check_precision(todo)
    print_reasons(plan, store, [task for task in todo if task not in rebuild])
    store.prepare()
    _make_on_workers(todo, store, count)
    return len(todo)


def check(plan: Plan, store: Store, todo: Sequence[Task]) -> None:
    """Refuse what is certain to fail before anything is made; see `preflight.check`.

    Raises:
        UvlpError: what no task of the run could work with, or a disk that is too small for it.
    """
    preflight.check(plan, todo)
    fix = "make room, or use a larger disk: --store FOLDER; everything finished is kept"
    disk.check([of_store(plan, todo, store.root)], fix)


def print_reasons(plan: Plan, store: Store, todo: Sequence[Task]) -> None:
    """Say why what an earlier version made is made anew."""
    spec = plan.goal.dataset_spec
    datasets = made_anew.Datasets(plan.manifest, spec.place if spec else "", store.cache)
    for line in made_anew.reasons(todo, store.root, datasets):
        streams.print_error(f"note   {line}")


def _make_on_workers(jobs: list[Task], store: Store, count: int) -> None:
    try:
        workers.run(
            jobs,
            partial(execute, store.root),
            workers=count,
            environment=machine.thread_environment(),
            view=views.view(len(jobs)),
            alone=lambda task: machine.takes_the_gpu(task.stage),
        )
    finally:
        store.sweep()
