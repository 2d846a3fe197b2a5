"""Execution of a plan: make the missing artifacts in order on worker processes."""

from __future__ import annotations

import platform
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from uvlp.artifacts import distilled
from uvlp.artifacts.checks import rebuild_reasons
from uvlp.artifacts.checks.visible import await_inputs
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, chain
from uvlp.artifacts.work import Work
from uvlp.core import machine, plugins, portable, streams, views
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import changed_during_read, file_sha256
from uvlp.core.progress import Progress
from uvlp.core.scheduling import cards, workers
from uvlp.core.scheduling.cards import Asked
from uvlp.core.scheduling.rule import ANYWHERE, Needs
from uvlp.declarations.launcher import HERE, Launch, Launcher, declared_launcher
from uvlp.models.published import find
from uvlp.pipeline import preflight
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.downloads import disk
from uvlp.pipeline.estimates import needs as estimated
from uvlp.pipeline.estimates.cards import named, this_machine
from uvlp.pipeline.estimates.least import of_store
from uvlp.pipeline.planning.pieces import Divided, Piece, divided, task_of
from uvlp.pipeline.planning.spread import in_order, of_job, spread
from uvlp.pipeline.prepare import Plan
from uvlp.pipeline.runs.journal import command_line, recorded


def damage(plan: Plan, store: Store) -> Iterator[tuple[Task, str]]:
    """Yield the damaged artifacts of the chain, each with its damaged file and the reason."""
    for task in filter(store.has, chain(plan.goal)):
        name = store.damage(task)
        if name is not None:
            yield task, name


def damaged(task: Task, name: str, fix: str) -> UvlpError:
    """Return the error for a damaged file of an artifact."""
    return UvlpError(f"damaged artifact {task.name} ({task.title}): {name} is missing or changed", fix=fix)


def find_damage(plan: Plan, store: Store, force: bool) -> list[Task]:
    """Compare every finished artifact of the chain with its manifest; return the tasks to rebuild.

    With ``force`` damaged artifacts are deleted, and missing inputs of finished artifacts are rebuilt too.

    Raises:
        UvlpError: an artifact is damaged and ``force`` is off.
    """
    deleted = []
    for task, name in damage(plan, store):
        if not force:
            raise damaged(task, name, "re-run the command with --force to rebuild it")
        streams.print_error(f"note   {task.name}: {name} is damaged, rebuilding")
        aside = store.remove(task)
        if aside:
            streams.print_error(f"note   {task.name}: files that its manifest does not list are in {aside}")
        deleted.append(task)
    if force:
        deleted += _gone(plan, store, deleted)
    goal = plan.goal
    if deleted and goal not in deleted and goal.stage == "tabulate" and store.has(goal):
        streams.print_error(f"note   {goal.name}: rebuilding from the rebuilt artifacts")
        store.remove(goal)
        deleted.append(goal)
    store.save_verified()
    return deleted


def _gone(plan: Plan, store: Store, deleted: Sequence[Task]) -> list[Task]:
    """Return missing inputs of finished artifacts, left by an interrupted rebuild.

    A table made without them would lack their counts.
    """
    known = {task.key for task in deleted}
    absent = {
        earlier.key: earlier
        for task in filter(store.has, chain(plan.goal))
        for earlier in task.inputs.values()
        if earlier.key not in known and not store.has(earlier)
    }
    for task in absent.values():
        streams.print_error(f"note   {task.name}: missing input of finished artifacts, rebuilding")
    return list(absent.values())


def missing(plan: Plan, store: Store, rebuild: Sequence[Task] = ()) -> list[Task]:
    """Return the tasks to run: missing targets and their missing inputs.

    The targets are the artifacts of the last requested stage, and ``rebuild``.
    """
    tasks = plan.tasks
    targets = [task for task in tasks if _is_target(task, plan.until) or task in rebuild] or tasks
    needed: set[str] = set()

    def want(task: Task) -> None:
        if task.key in needed or store.has(task):
            return
        needed.add(task.key)
        for earlier in task.inputs.values():
            want(earlier)

    for target in targets:
        want(target)
    return in_order([task for task in tasks if task.key in needed])


def _is_target(task: Task, until: str) -> bool:
    """Return whether a task makes what a run up to a stage is for; several stages make images."""
    return task.kind == distilled.KIND if until == "synthesise" else task.stage == until


UNRECORDED = ("pixels", "evaluate")
"""Stages whose manifests do not repeat the config of the run: their tables, which list them, have it."""


def execute(
    root: Path,
    job: Task | Piece | Divided,
    progress: Progress,
    gpus: tuple[str, ...] = (),
    *,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Make one artifact, or some of its parts, in a worker process.

    Args:
        root: of the store.
        job: what to make.
        progress: receives reports.
        gpus: cards reserved for it, as CUDA names them.
        config: the config of its run, for its manifest.

    Raises:
        UvlpError: the input is invalid or the store cannot be written.
    """
    task = job if isinstance(job, Task) else job.task
    if task.portable:
        portable.begin(torch=task.stage != "tabulate")
    try:
        _compute(root, job, progress, gpus, config)
    except Exception as error:
        progress.failed("".join(traceback.format_exception(error)))
        raise


def _compute(
    root: Path,
    job: Task | Piece | Divided,
    progress: Progress,
    gpus: tuple[str, ...],
    config: Mapping[str, Any] | None,
) -> None:
    """Make one artifact, or some of its parts, on one thread and on the cards that are reserved for it."""
    task = job if isinstance(job, Task) else job.task
    if task.stage == "tabulate":  # needs no torch
        progress.on("CPU")
        _write(root, task, progress, gpus, config)
        return
    machine.single_thread()
    machine.release_gpu()
    progress.on(" ".join((machine.gpu_name() or "CPU", *gpus)))
    try:
        if isinstance(job, Piece):
            _make_piece(root, job, progress, gpus)
        else:
            _write(root, task, progress, gpus, config)
    finally:
        # Memory that an idle worker keeps would be missing for other workers.
        machine.release_gpu()


def _write(
    root: Path,
    task: Task,
    progress: Progress,
    gpus: tuple[str, ...] = (),
    config: Mapping[str, Any] | None = None,
) -> None:
    """Run the task's stage, and store its folder with facts about this machine."""
    store = Store(root)
    began = time.monotonic()
    published = False
    with store.making(task, progress.log) as folder:
        if folder is None:
            return
        _run(
            Work(
                task=task,
                folder=folder,
                store=store,
                progress=progress,
                open_dataset=open_dataset,
                cards=gpus,
            )
        )
        made = _made(time.monotonic() - began, task, gpus)
        if task.stage not in UNRECORDED and config:
            made["recipe"] = dict(config)
        published = store.commit(task, folder, made)
    if not published:
        progress.made_twice(time.monotonic() - began)


def _make_piece(root: Path, piece: Piece, progress: Progress, gpus: tuple[str, ...] = ()) -> None:
    """Run the task's stage for the parts of a piece, unless the artifact exists."""
    store, task = Store(root), piece.task
    with store.making_piece(task, piece.name, progress.log) as needed:
        if needed:
            work = Work(
                task=task,
                folder=store.partial(task),
                store=store,
                progress=progress,
                open_dataset=open_dataset,
                cards=gpus,
                share=piece.share,
            )
            _run(work)


def _run(work: Work) -> None:
    """Run the stage; its published models may not change meanwhile."""
    await_inputs(work.store, work.task, work.progress.log)
    models = _model_fingerprints(work.task, work.store)
    plugins.load("stages", work.task.stage).run(work)
    if _model_fingerprints(work.task, work.store) != models:
        raise changed_during_read(Path(", ".join(work.task.origins.values())))


def _model_fingerprints(task: Task, store: Store) -> list[Any]:
    """Return size and times of a task's published models, which are too large to hash again."""
    hashes = task.facts.get("models", {})
    return [find.marks(task.origins[name], sha256, store.cache) for name, sha256 in hashes.items()]


def _made(seconds: float, task: Task, gpus: tuple[str, ...]) -> dict[str, Any]:
    """Return the machine facts for the manifest."""
    computed = task.stage != "tabulate"
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 2),
        "peak_memory_mb": machine.peak_memory_mb(),
        "host": platform.node(),
        "gpu": machine.gpu_name() if computed else None,
        "gpus": len(gpus),
        "gpu_peak_memory_mb": machine.gpu_peak_memory_mb() if computed else None,
        "driver": machine.driver_version(),
        # The snapshot folder of a hub repository is named by its commit.
        "origins": dict(task.origins),
        "sources": {role: file_sha256(Path(path)) for role, path in task.sources.items()},
        "dataset": task.dataset_spec.location if task.dataset_spec else "",
        "threads": 1,
        "versions": machine.versions(),
    }


def make(
    plan: Plan,
    store: Store,
    asked: Asked,
    rebuild: Sequence[Task] = (),
    launcher: Launcher = HERE,
) -> int:
    """Make missing artifacts by a launcher; return their number.

    Args:
        plan: a complete plan.
        store: the store.
        asked: the worker processes and cards that are asked for.
        rebuild: artifacts to make even if no missing artifact needs them.
        launcher: where they are made.

    Raises:
        UvlpError: invalid input, found before the start or by a stage.
        WorkerFailed: a stage failed unexpectedly.
    """
    todo = missing(plan, store, rebuild)
    if not todo:
        return 0
    declared = declared_launcher(launcher.name)
    check(plan, store, todo, remote=declared.remote)
    if not declared.remote:
        preflight.check_precision(todo)
    print_reasons(plan, store, [task for task in todo if task not in rebuild])
    store.prepare()
    declared.launch(launch(plan, store, todo, asked, launcher), launcher.settings)
    return len(todo)


def launch(plan: Plan, store: Store, todo: Sequence[Task], asked: Asked, launcher: Launcher) -> Launch:
    """Return what a launcher is handed to make ``todo``."""
    declared = declared_launcher(launcher.name)
    card = declared.card(launcher.settings)
    part_s = 60.0 * declared.part_minutes(launcher.settings)
    estimates = estimated.of_plan(plan, named(card) if card else this_machine())
    seconds = {key: 60 * (needs.minutes or 0.0) for key, needs in estimates.items()}
    several = {task.key: estimated.on_cards(task, asked.gpus_per_finetune or 1).cards for task in todo}
    if declared.remote:
        seconds |= {key: seconds.get(key, 0.0) / max(1, count) for key, count in several.items()}
    return Launch(
        name=plan.goal.key,
        root=store.root,
        tasks=tuple(todo),
        jobs=divided(todo, seconds, part_s) if part_s else tuple(todo),
        seconds=seconds,
        cards={key: count for key, count in several.items() if count > 1},
        make=partial(make_here, store.root, asked, estimates, command_line(), config=plan.config),
        workers=asked.workers,
        detach=launcher.detach,
    )


def make_here(
    root: Path,
    asked: Asked,
    estimates: Mapping[str, Needs],
    command: str,
    jobs: Sequence[Task | Piece | Divided],
    count: int | None,
    *,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Make the unfinished ones of ``jobs`` on worker processes and cards of this machine.

    Args:
        root: of the store.
        asked: cards that are asked for.
        estimates: the needs of each task on one card, by key.
        command: command line of the run, for its journal.
        jobs: tasks, and parts of them.
        count: number of worker processes; None: as many as suit the machine.
        config: the config of the run, for the manifests.

    Raises:
        UvlpError: this machine cannot compute them, or as `make`.
        WorkerFailed: a stage failed unexpectedly.
    """
    store = Store(root)
    todo = [job for job in jobs if not store.has(task_of(job))]
    if not todo:
        return
    preflight.check_card(list(map(task_of, todo)))
    if not any(job.stage == "finetune" for job in todo):
        asked = replace(asked, gpus_per_finetune=None)  # this job of a cluster has cards for other tasks
    parallel = cards.parallel(replace(asked, workers=count))
    cards.announce(parallel)
    needs = estimated.on_machine(parallel, estimates)
    whole = [job for job in todo if isinstance(job, Task)]
    if len(whole) == len(todo):  # not the share of a job of a cluster
        todo = spread(in_order(whole, needs), needs, min(len(parallel.cards), parallel.workers))
    of_each = partial(of_job, needs=needs)
    # Without cards no job needs anything, but it has an estimate.
    known = needs if parallel.cards else lambda task: estimates.get(task.key, ANYWHERE)
    seconds = {job.key: 60 * (of_job(job, known).minutes or 0.0) for job in todo}
    processes = len(parallel.layout.workers[: len(todo)])
    try:
        with recorded(root, todo, processes, seconds, command, views.view(len(todo))) as view:
            workers.run(
                todo,
                partial(execute, store.root, config=config),
                parallel=parallel,
                environment=machine.thread_environment(),
                view=view,
                needs=of_each,
            )
    finally:
        store.sweep()


def check(plan: Plan, store: Store, todo: Sequence[Task], *, remote: bool = False) -> None:
    """Refuse runs that are certain to fail, before they start; see `preflight.check`.

    Raises:
        UvlpError: unusable settings or input, or a disk that is too small.
    """
    preflight.check(plan, todo, remote=remote)
    fix = "free some space, or use a larger disk: --store DIR; finished artifacts are kept"
    disk.check([of_store(plan, todo, store.root)], fix)


def print_reasons(plan: Plan, store: Store, todo: Sequence[Task]) -> None:
    """Print why artifacts of an earlier version are rebuilt."""
    spec = plan.goal.dataset_spec
    datasets = rebuild_reasons.Datasets(plan.manifest, spec.location if spec else "", store.cache)
    for line in rebuild_reasons.reasons(todo, store.root, datasets):
        streams.print_error(f"note   {line}")
