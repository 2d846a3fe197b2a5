"""Execution of a plan: make the missing artifacts in order on worker processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from uvlp.artifacts.checks import rebuild_reasons
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core import machine
from uvlp.core.display import messages, views
from uvlp.core.scheduling import cards, workers
from uvlp.core.scheduling.cards import Asked
from uvlp.core.scheduling.rule import ANYWHERE, Needs
from uvlp.declarations.launcher import HERE, Launch, Launcher, declared_launcher
from uvlp.pipeline import preflight
from uvlp.pipeline.downloads import disk
from uvlp.pipeline.estimates import needs as estimated
from uvlp.pipeline.estimates.cards import named, this_machine
from uvlp.pipeline.estimates.least import of_store
from uvlp.pipeline.making.execute import execute
from uvlp.pipeline.making.remaining import missing
from uvlp.pipeline.planning.pieces import Divided, Piece, divided, task_of
from uvlp.pipeline.planning.spread import in_order, of_job, spread
from uvlp.pipeline.prepare import Plan
from uvlp.pipeline.runs.journal import command_line, recorded


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
        messages.note(line)
