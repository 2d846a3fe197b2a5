"""Shared by the commands of the chain: plan, then run the plan or estimate its cost, and print."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts import distilled, tables, teachers
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, plain
from uvlp.cli.printing import config, dry_run, screen
from uvlp.core.display import messages
from uvlp.core.errors import UvlpError
from uvlp.core.scheduling import cards
from uvlp.declarations.launcher import HERE, LOCAL, Launcher, declared_launcher
from uvlp.exchange.scoring import scored
from uvlp.pipeline.folders.rows import Row
from uvlp.pipeline.making import remaining
from uvlp.pipeline.prepare import Plan
from uvlp.pipeline.requests import carry_out, hashing
from uvlp.pipeline.requests.rerun import rerun
from uvlp.pipeline.requests.resolve import resolve, store_at
from uvlp.recipes.requests.request import Request
from uvlp.tables.table import markdown, printed, screen as first_screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The options that determine what is done with a request, and what is printed.

    Attributes:
        launcher: where tasks are computed.
        rerun: the repeat to train again; None: none.
        gpu: the card of a dry run's estimate, as of ``--gpu``; None: this machine.
        form: of the printed config: text or toml.
        announced: the estimated time is printed before the run.
        full: the table with its intervals, differences and every note.
    """

    launcher: Launcher = HERE
    rerun: int | None = None
    dry_run: bool = False
    gpu: str | None = None
    print_config: bool = False
    form: str = "text"
    as_json: bool = False
    announced: bool = False
    full: bool = False


def run(request: Request, until: str, execution: Execution, rows: Sequence[Row] | None = None) -> Plan | None:
    """Check a request, then print it or its cost, or run it up to a stage and print the result.

    Returns:
        The plan that was carried out; None if nothing was made.

    Args:
        request: the request.
        until: the last stage.
        execution: selects one of these and how it is done.
        rows: image folders to take in place of the request's images.

    Raises:
        UvlpError: an unknown name, a wrong number, invalid files, or an artifact that cannot be made.
    """
    config.check_format(execution.form)
    if execution.gpu is not None and not execution.dry_run:
        raise UvlpError("--gpu without --dry-run", got=execution.gpu, fix="a run uses the cards here")
    store, collect = store_at(request.store), None
    if request.images or rows:
        fetch, offline = not execution.print_config, request.offline or execution.dry_run
        recipe, collect = scored(request, store, fetch=fetch, offline=offline, rows=rows)
    else:
        recipe = resolve(request)
    checked = carry_out.checked(request, recipe)
    if execution.print_config:
        form, launcher = execution.form, execution.launcher
        config.show(request, checked, until, form=form, as_json=execution.as_json, launcher=launcher)
        return None
    if execution.rerun is not None and declared_launcher(execution.launcher.name).remote:
        raise UvlpError("--rerun trains here", got=execution.launcher.name, fix=f"add --launcher {LOCAL}")
    if execution.gpu is None:  # else the cards are not here
        carry_out.check_cards(request, execution.launcher)
    if not execution.dry_run:
        hashing.hash_elsewhere(checked, store, execution.launcher)
    plan = carry_out.planned(request, checked, store, until, collect)
    if execution.dry_run:
        carry_out.check_dataset(plan, needed=collect is not None)
        dry_run.show(
            plan, store, carry_out.asked(request), execution.as_json, execution.launcher, execution.gpu
        )
        return None
    plan = carry_out.completed(plan, request, checked, store, collect, execution.launcher)
    if execution.announced:
        dry_run.announce(plan, store, request.workers)
    if execution.rerun is not None:
        _rerun(plan, store, request, execution)
        return None
    _make(plan, store, request, execution)
    return plan


def run_aside(request: Request, until: str, execution: Execution) -> Plan | None:
    """Run a request whose result is not that of the command: it is printed on standard error; see `run`."""
    with contextlib.redirect_stdout(io.StringIO() if messages.are_quiet() else sys.stderr):
        return run(request, until, execution)


def _rerun(plan: Plan, store: Store, request: Request, execution: Execution) -> None:
    assert execution.rerun is not None
    repeated = rerun(plan, store, execution.rerun, cards.parallel(carry_out.asked(request)))
    if execution.as_json:
        print(json.dumps({"repeat": execution.rerun, "same": [task.name for task in repeated]}, indent=1))
    else:
        screen.show(
            f"repeat {execution.rerun}: {len(repeated)} trainings reproduced the stored scores bit for bit"
        )


def _make(plan: Plan, store: Store, request: Request, execution: Execution) -> None:
    """Make the missing artifacts of the plan and print the result."""
    made = carry_out.made(plan, store, request, execution.launcher)
    if execution.as_json:
        print(json.dumps(_result(plan, store, made), indent=1, ensure_ascii=False))
        return
    if plan.until == "tabulate":
        table = tables.read(store.folder(plan.goal))
        screen.show(markdown(printed(table)) if execution.full else first_screen(table))
    if messages.are_quiet():
        if plan.until != "tabulate":
            print("\n".join(str(store.folder(task)) for task in remaining.targets(plan)))
        return
    if plan.until == "teacher":
        summary = teachers.read(store.folder(plan.goal))
        images = f"{summary.validation_images} test images of {summary.validation_set}"
        screen.show(f"{summary.architecture}: {summary.accuracy_pct:.1f} % of {images}; {summary.source}\n")
    shown = _shown(plan, store)
    unlisted = "; scores and test images are not listed" if len(shown) < len(plan.tasks) else ""
    screen.show(f"Artifacts in {store.root} ({made} new{unlisted}):")
    rows = []
    for task in shown:
        sheet = f"/{distilled.SHEET}" if task.kind == distilled.KIND else ""
        text = f"/{tables.FORMATS['markdown']}" if task.kind == tables.KIND else ""
        rows.append((f"  {task.title}", f"{task.name}{sheet}{text}"))
    screen.show_columns(rows)


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
