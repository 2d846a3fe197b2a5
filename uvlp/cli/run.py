"""Shared by the commands of the chain: plan, then run the plan or estimate its cost, and print."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts import distilled, tables, teachers
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, plain
from uvlp.cli.printing import config, dry_run
from uvlp.core import machine, portable, streams
from uvlp.declarations.launcher import HERE, Launcher, declared_launcher
from uvlp.pipeline import changed_plugins, make, names, preflight
from uvlp.pipeline.downloads import transfers
from uvlp.pipeline.estimates.least import of_store
from uvlp.pipeline.folders.collect import Collect, check_store
from uvlp.pipeline.planning.ablations import Ablated
from uvlp.pipeline.prepare import Plan, prepare
from uvlp.pipeline.rerun import rerun
from uvlp.recipes.schema import Recipe
from uvlp.tables.table import markdown, printed, screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The options that determine how a recipe is run, and what is printed.

    Attributes:
        workers: number of worker processes; None: chosen for this machine.
        launcher: where tasks are computed.
        rerun: the repeat to train again; None: none.
        announced: the estimated time is printed before the run.
        full: the table with its intervals, differences and every note.
    """

    workers: int | None = None
    launcher: Launcher = HERE
    offline: bool = False
    force: bool = False
    rerun: int | None = None
    dry_run: bool = False
    print_config: bool = False
    as_json: bool = False
    announced: bool = False
    full: bool = False


def run(
    recipe: Recipe,
    store: Store,
    until: str,
    execution: Execution,
    collect: Collect | None = None,
    ablated: Ablated | None = None,
) -> Plan | None:
    """Check a recipe, then print it or its cost, or run it up to a stage and print the result.

    Returns:
        The plan that was carried out; None if nothing was made.

    Args:
        recipe: the resolved recipe.
        store: the store of the artifacts.
        until: the last stage.
        execution: selects one of these and how it is done.
        collect: image folders to score beside the recipe's methods.
        ablated: the method to ablate in place of the recipe's methods.

    Raises:
        UvlpError: an unknown name, a wrong number, invalid files, or an artifact that cannot be made.
    """
    if recipe.portable:
        portable.enforce()
    checked = names.check(recipe, ablated)
    for note in checked.notes:
        streams.print_error(f"note   {note}")
    if execution.print_config:
        config.show(checked, until, execution.as_json)
        return None
    check_store(store.root, checked.spec)
    store.begin()
    plan = prepare(checked, store, until, collect)
    if execution.dry_run:
        _check_dataset(plan, needed=collect is not None)
        dry_run.show(plan, store, execution.workers, execution.as_json, execution.launcher)
        return None
    if not plan.complete:
        of_models = all(each.part for each in plan.transfers)
        _check_dataset(plan, needed=of_models)
        todo = [task for task in plan.tasks if not store.has(task)]
        remote = declared_launcher(execution.launcher.name).remote
        preflight.check(plan, todo, remote=remote)
        if not remote:
            preflight.check_precision(todo)
        wanted = [of_store(plan, todo, store.root)]
        transfers.fetch(plan.transfers, wanted, offline=execution.offline)
        plan = prepare(checked, store, until, collect, plan.dataset if of_models else None)
        _check_dataset(plan, needed=True)
    if execution.announced:
        dry_run.announce(plan, store, execution.workers)
    if execution.rerun is not None:
        _rerun(plan, store, execution)
        return None
    _make(plan, store, execution)
    return plan


def _check_dataset(plan: Plan, *, needed: bool) -> None:
    if needed and plan.absent is not None:
        raise plan.absent


def _rerun(plan: Plan, store: Store, execution: Execution) -> None:
    assert execution.rerun is not None
    repeated = rerun(plan, store, execution.rerun, execution.workers or machine.default_workers())
    if execution.as_json:
        print(json.dumps({"repeat": execution.rerun, "same": [task.name for task in repeated]}, indent=1))
    else:
        print(f"repeat {execution.rerun}: {len(repeated)} trainings reproduced the stored scores bit for bit")


def _make(plan: Plan, store: Store, execution: Execution) -> None:
    """Make the missing artifacts of the plan and print the result."""
    damaged = make.find_damage(plan, store, execution.force)
    for note in changed_plugins.notes(plan, store):
        streams.print_error(f"note   {note}")
    made = make.make(plan, store, execution.workers, damaged, execution.launcher)
    if execution.as_json:
        print(json.dumps(_result(plan, store, made), indent=1, ensure_ascii=False))
        return
    if plan.until == "tabulate":
        table = tables.read(store.folder(plan.goal))
        print(markdown(printed(table)) if execution.full else screen(table))
    if plan.until == "teacher":
        summary = teachers.read(store.folder(plan.goal))
        images = f"{summary.validation_images} test images of {summary.validation_set}"
        print(f"{summary.architecture}: {summary.accuracy_pct:.1f} % of {images}; {summary.source}\n")
    shown = _shown(plan, store)
    unlisted = "; scores and test images are not listed" if len(shown) < len(plan.tasks) else ""
    print(f"Artifacts in {store.root} ({made} new{unlisted}):")
    width = max((len(task.title) for task in shown), default=0)
    for task in shown:
        sheet = f"/{distilled.SHEET}" if task.kind == distilled.KIND else ""
        text = f"/{tables.FORMATS['markdown']}" if task.kind == tables.KIND else ""
        print(f"  {task.title:<{width}}  {task.name}{sheet}{text}")


def _shown(plan: Plan, store: Store) -> list[Task]:
    """Return the artifacts to list; the scores are listed in the files of the table."""
    return [task for task in plan.tasks if task.stage not in ("pixels", "evaluate") and store.has(task)]


def _result(plan: Plan, store: Store, made: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "dataset": plan.recipe.dataset,
        "content_hash": plan.manifest.content_hash,
        **({} if plan.until == "teacher" else {"ipc": plan.recipe.ipc}),
        "profile": plan.recipe.profile,
        "store": str(store.root),
        "made": made,
        "artifacts": {task.title: task.name for task in _shown(plan, store)},
    }
    if plan.until == "tabulate":
        result["table"] = plain(tables.read(store.folder(plan.goal)))
    if plan.until == "teacher":
        result["teacher"] = plain(teachers.read(store.folder(plan.goal)))
    return result
