"""Execution of a plan: make the missing artifacts in order on worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from uvlp.artifacts.checks import rebuild_reasons
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.display import messages
from uvlp.core.scheduling.cards import Asked
from uvlp.declarations.launcher import HERE, Launch, Launcher, declared_launcher
from uvlp.pipeline import preflight
from uvlp.pipeline.downloads import disk
from uvlp.pipeline.estimates import needs as estimated
from uvlp.pipeline.estimates.cards import named, this_machine
from uvlp.pipeline.estimates.least import of_store
from uvlp.pipeline.making import staging
from uvlp.pipeline.making.here import MakeHere
from uvlp.pipeline.making.remaining import missing
from uvlp.pipeline.planning.pieces import divided, task_of
from uvlp.pipeline.prepare import Plan
from uvlp.pipeline.runs import log
from uvlp.pipeline.runs.journal import command_line, launched
from uvlp.pipeline.runs.tracking import Tracking


def make(
    plan: Plan,
    store: Store,
    asked: Asked,
    rebuild: Sequence[Task] = (),
    launcher: Launcher = HERE,
    tracking: Tracking | None = None,
) -> int:
    """Make missing artifacts by a launcher; return their number.

    Args:
        plan: a complete plan.
        store: the store.
        asked: the worker processes and cards that are asked for.
        rebuild: artifacts to make even if no missing artifact needs them.
        launcher: where they are made.
        tracking: where curves are reported to.

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
    log.begin(store.root)
    staging.archive(plan, store, todo, launcher)
    work = launch(plan, store, todo, asked, launcher, tracking)
    with launched(work, launcher.name, command_line()) if declared.remote else nullcontext():
        declared.launch(work, launcher.settings)
    return len(todo)


def launch(
    plan: Plan,
    store: Store,
    todo: Sequence[Task],
    asked: Asked,
    launcher: Launcher,
    tracking: Tracking | None = None,
) -> Launch:
    """Return what a launcher is handed to make ``todo``."""
    declared = declared_launcher(launcher.name)
    card = declared.card(launcher.settings)
    part_s = 60.0 * declared.part_minutes(launcher.settings)
    estimates = estimated.of_plan(plan, named(card) if card else this_machine())
    seconds = {key: 60 * (needs.minutes or 0.0) for key, needs in estimates.items()}
    cards = {task.key: estimated.on_cards(task, asked.gpus_per_finetune or 1).cards for task in todo}
    if declared.remote:
        seconds |= {key: seconds.get(key, 0.0) / max(1, count) for key, count in cards.items()}
    jobs = divided(todo, seconds, part_s) if part_s else tuple(todo)
    return Launch(
        name=plan.goal.key,
        root=store.root,
        tasks=tuple(todo),
        jobs=jobs,
        seconds=seconds,
        cards={job.key: cards[task_of(job).key] for job in jobs},
        make=MakeHere(
            *(store.root, asked, estimates, command_line()),
            config=plan.config,
            run=plan.goal.key if declared.remote else "",
            tracking=tracking,
        ),
        workers=asked.workers,
        detach=launcher.detach,
    )


def check(plan: Plan, store: Store, todo: Sequence[Task], *, remote: bool = False) -> None:
    """Refuse runs that are certain to fail, before they start; see `preflight.check`.

    Raises:
        UvlpError: unusable settings or input, or a disk that is too small.
    """
    preflight.check(plan, todo, remote=remote)
    fix = "free some space, or use a larger disk: --store DIR; finished artifacts are kept"
    if any(task.stage == "encode" for task in todo):
        fix += "; --set finetune.cache_latents=false needs less, and more time"
    disk.check([of_store(plan, todo, store.root)], fix)


def print_reasons(plan: Plan, store: Store, todo: Sequence[Task]) -> None:
    """Print why artifacts of an earlier version are rebuilt."""
    spec = plan.goal.dataset_spec
    datasets = rebuild_reasons.Datasets(plan.manifest, spec.location if spec else "", store.cache)
    for line in rebuild_reasons.reasons(todo, store.root, datasets):
        messages.note(line)
