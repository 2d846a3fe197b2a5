"""`--dry-run`: list the artifacts to be made and what is missing, and estimate the cost on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.cli.printing import screen
from uvlp.core.display import messages
from uvlp.core.errors import MissingFile
from uvlp.core.scheduling import cards
from uvlp.core.scheduling.cards import Asked, Parallel
from uvlp.core.wording import duration
from uvlp.declarations.launcher import HERE, Launcher, declared_launcher
from uvlp.pipeline.estimates import report, shares, together
from uvlp.pipeline.estimates.cards import Machine, described, named, this_machine
from uvlp.pipeline.estimates.report import Estimate
from uvlp.pipeline.making import make, remaining, staging
from uvlp.pipeline.prepare import Plan


def show(
    plan: Plan, store: Store, asked: Asked, as_json: bool, launcher: Launcher = HERE, gpu: str | None = None
) -> None:
    """Print the artifacts and the estimate; nothing is computed or downloaded.

    Args:
        plan: of the run. While something is missing, artifacts cannot be listed.
        store: the store with existing artifacts.
        asked: worker processes and cards that are asked for.
        as_json: print JSON.
        launcher: where the artifacts would be made.
        gpu: the card to estimate for instead, as of ``--gpu``.

    Raises:
        UvlpError: the run would fail with the same error, no size of the dataset is known, or no such card.
    """
    declared = declared_launcher(launcher.name)
    on = _machine(gpu, declared.card(launcher.settings))
    elsewhere = declared.remote or gpu is not None
    artifacts: list[dict[str, Any]] = []
    absent = [str(plan.absent)] if plan.absent else []
    missing = remaining.missing(plan, store) if plan.complete else plan.tasks
    try:
        make.check(plan, store, missing, remote=elsewhere)
    except MissingFile as error:  # reported like a dataset that is not here
        absent.append(str(error))
    if plan.complete:
        artifacts = _artifacts(plan, store, missing)
    todo = {task.key for task in missing}
    estimate = report.estimate(
        plan,
        on,
        made=lambda task: task.key not in todo,
        fetched=[transfer.download for transfer in plan.transfers],
        workers=asked.workers,
        asked=asked,
    )
    jobs: list[str] = []
    if declared.lines is not None:
        jobs = declared.lines(make.launch(plan, store, missing, asked, launcher), launcher.settings)
        jobs += staging.lines(plan, store.cache, launcher)
    if not elsewhere:
        _announce_cards(plan, missing, cards.parallel(asked))
    _print(estimate, artifacts, "; ".join(absent), jobs, as_json)


def _machine(gpu: str | None, card: str | None) -> Machine:
    """Return the machine to estimate for: that of ``--gpu``, of the launcher's settings, or this one."""
    if gpu is not None:
        return described(gpu)
    return named(card) if card else this_machine()


def _announce_cards(plan: Plan, missing: Sequence[Task], parallel: Parallel) -> None:
    """Print which cards the run would use, and how long it would take on several."""
    cards.announce(parallel)
    if len(parallel.cards) > 1:
        hours = together.hours(plan, missing, parallel, this_machine())
        taken = duration(None if hours is None else 3600 * hours)
        messages.note(f"estimated time on these {len(parallel.cards)} GPUs together: {taken}")


def announce(plan: Plan, store: Store, workers: int | None) -> None:
    """Print the estimated time of a run and of each of its methods on standard error, before it starts."""
    todo = {task.key for task in remaining.missing(plan, store)}
    estimate = report.estimate(plan, this_machine(), made=lambda task: task.key not in todo, workers=workers)
    machine = f"{estimate.machine.name}; {estimate.basis}"
    messages.note(f"estimated time: {duration(estimate.seconds)} on {machine}")
    for line in shares.lines(estimate.shares):
        messages.note(line)


def _artifacts(plan: Plan, store: Store, missing: Sequence[Task]) -> list[dict[str, Any]]:
    make.print_reasons(plan, store, missing)
    todo = {task.key for task in missing}
    return [
        {
            "artifact": task.name,
            "title": task.title,
            "done": store.has(task),
            "make": task.key in todo,
        }
        for task in plan.tasks
    ]


def _print(
    estimate: Estimate, artifacts: list[dict[str, Any]], absent: str, jobs: list[str], as_json: bool
) -> None:
    if as_json:
        result = {"artifacts": artifacts, "absent": absent, "estimate": estimate.json()}
        result |= {"jobs": jobs} if jobs else {}
        print(json.dumps(result, indent=1, ensure_ascii=False))
        return
    states = ["done" if row["done"] else "make" if row["make"] else "skip" for row in artifacts]
    screen.show_columns(
        [(state, row["artifact"], row["title"]) for state, row in zip(states, artifacts, strict=True)]
    )
    if artifacts:
        print(f"{sum(row['make'] for row in artifacts)} of {len(artifacts)} artifacts to make\n")
    if absent:
        screen.show(f"missing: {absent}\n")
    screen.show("\n".join([*estimate.lines(screen.width()), *jobs]))
