"""Steps of carrying out a checked recipe, whoever asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from uvlp.artifacts.dataset import HUB
from uvlp.artifacts.store import Store
from uvlp.core import portable
from uvlp.core.display import messages
from uvlp.core.scheduling import cards
from uvlp.core.scheduling.cards import Asked
from uvlp.declarations.launcher import HERE, Launcher, declared_launcher
from uvlp.pipeline import names, preflight
from uvlp.pipeline.downloads import transfers
from uvlp.pipeline.estimates.least import of_store
from uvlp.pipeline.folders.collect import Collect, check_store
from uvlp.pipeline.making import make, remaining
from uvlp.pipeline.names import Checked
from uvlp.pipeline.planning import changed_plugins
from uvlp.pipeline.planning.ablations import Ablated
from uvlp.pipeline.prepare import Plan, prepare
from uvlp.pipeline.requests.content import content
from uvlp.pipeline.runs import log, tracking
from uvlp.recipes.requests.request import Request
from uvlp.recipes.schema import Recipe


def checked(request: Request, recipe: Recipe) -> Checked:
    """Check the recipe of a request; print notes about variants that are not run.

    Raises:
        UvlpError: an unknown name or a wrong number.
    """
    if recipe.portable:
        portable.enforce()
    ablated = Ablated(method=request.ablated, pairs=request.pairs) if request.ablated is not None else None
    found = names.check(recipe, ablated)
    for note in found.notes:
        messages.note(note)
    return found


def asked(request: Request) -> Asked:
    """Return the processes and cards that a request asks for."""
    return Asked(
        workers=request.workers, per_gpu=request.per_gpu, gpus_per_finetune=request.gpus_per_finetune
    )


def check_cards(request: Request, launcher: Launcher) -> None:
    """Refuse a run on this machine that asks for more than it has.

    Raises:
        UvlpError: see `cards.parallel`.
    """
    if not declared_launcher(launcher.name).remote:
        cards.parallel(asked(request))


def planned(request: Request, checked: Checked, store: Store, until: str, collect: Collect | None) -> Plan:
    """Return the plan up to a stage; something may still be missing.

    Raises:
        UvlpError: see `prepare`; a store that cannot be used.
    """
    check_store(store.root, checked.spec)
    store.begin()
    return _recorded(prepare(checked, store, until, collect), content(request, checked, until))


def _recorded(plan: Plan, config: Mapping[str, Any]) -> Plan:
    """Return the plan with its config, in which the address of a dataset of the hub names its commit."""
    if plan.dataset is not None and plan.manifest.name == HUB:
        config = {**config, "dataset": f"{HUB}:{plan.manifest.argument}"}
    return replace(plan, config=config)


def completed(
    plan: Plan,
    request: Request,
    checked: Checked,
    store: Store,
    collect: Collect | None,
    launcher: Launcher = HERE,
) -> Plan:
    """Return the plan after everything that it needs was fetched.

    Raises:
        UvlpError: a run that would fail, or something that cannot be fetched.
    """
    if plan.complete:
        return plan
    of_models = all(each.part for each in plan.transfers)
    check_dataset(plan, needed=of_models)
    todo = [task for task in plan.tasks if not store.has(task)]
    remote = declared_launcher(launcher.name).remote
    preflight.check(plan, todo, remote=remote)
    if not remote:
        preflight.check_precision(todo)
    log.begin(store.root)
    wanted = [of_store(plan, todo, store.root)]
    transfers.fetch(plan.transfers, wanted, offline=request.offline)
    opened = plan.dataset if of_models else None
    full = _recorded(prepare(checked, store, plan.until, collect, opened), plan.config)
    check_dataset(full, needed=True)
    return full


def check_dataset(plan: Plan, *, needed: bool) -> None:
    """Raise the reason why the dataset cannot be opened, if it is needed."""
    if needed and plan.absent is not None:
        raise plan.absent


def made(plan: Plan, store: Store, request: Request, launcher: Launcher = HERE) -> int:
    """Make the missing artifacts of a complete plan; return their number.

    Raises:
        UvlpError: a damaged artifact, or one that cannot be made.
    """
    damaged = remaining.find_damage(plan, store, request.force)
    for note in changed_plugins.notes(plan, store):
        messages.note(note)
    tracked_by = tracking.requested(request, plan)
    count = make.make(plan, store, asked(request), damaged, launcher, tracked_by)
    if tracked_by is not None and not count:
        messages.note(f"{tracked_by.name}: every artifact is finished, so there is nothing to report")
    return count
