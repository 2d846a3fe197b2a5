"""`--dry-run`: what would be made, what is missing, and what it would cost on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts.store import Store
from uvlp.core.files.downloads import Download
from uvlp.pipeline import make as pipeline, transfers
from uvlp.pipeline.estimates import cards, report
from uvlp.pipeline.estimates.report import Estimate
from uvlp.pipeline.expected import Expected, Goal, expect
from uvlp.pipeline.names import check_names
from uvlp.pipeline.prepare import Run, print_notes
from uvlp.recipes.schema import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a command would do.

    Attributes:
        recipe: fully resolved.
        prepare: checks the recipe against its dataset and plans it.
        store: what is already made.
        until: the last stage.
        goal: what is made last, planned before its dataset is here; None where only somebody's folders tell.
        workers: processes; None: as many as the run would start.
    """

    recipe: Recipe
    prepare: Callable[[], Run]
    store: Store
    until: str
    goal: Goal | None
    workers: int | None


def show(plan: DryRun, as_json: bool) -> None:
    """Print it; nothing is made or transferred.

    Raises:
        UvlpError: an unknown name, a wrong number, or files that are wrong.
    """
    recipe = check_names(plan.recipe)
    missing = transfers.missing(recipe, plan.store)
    expected = expect(recipe, plan.store) if plan.goal else None
    if plan.goal and expected and (expected.absent or missing):
        _show_expected(plan, plan.goal, expected, missing, as_json)
        return
    run = plan.prepare()
    todo = pipeline.missing(run, plan.store, plan.until)
    pipeline.check(pipeline.ground(run, plan.store), plan.store, todo)
    estimate = report.estimate(
        run.recipe,
        cards.this_machine(),
        tasks=run.tasks(plan.until),
        manifest=run.manifest,
        made=plan.store.has,
        fetched=missing,
        workers=plan.workers,
    )
    _print(estimate, _artifacts(run, plan), "", as_json)


def _show_expected(
    plan: DryRun, goal: Goal, expected: Expected, missing: list[Download], as_json: bool
) -> None:
    """While something is missing, no artifact has its name yet."""
    recipe, manifest = expected.planner.recipe, expected.manifest
    if manifest is not None:  # else told where the run is prepared
        print_notes(recipe.dataset, manifest)
    tasks = expected.tasks(goal, plan.until)
    pipeline.check(expected.ground, plan.store, tasks)
    estimate = report.estimate(
        recipe,
        cards.this_machine(),
        tasks=tasks,
        manifest=manifest,
        fetched=missing,
        workers=plan.workers,
    )
    _print(estimate, [], expected.absent, as_json)


def _artifacts(run: Run, plan: DryRun) -> list[dict[str, Any]]:
    missing = pipeline.missing(run, plan.store, plan.until)
    pipeline.tell_reasons(run, plan.store, missing)
    todo = {task.key for task in missing}
    return [
        {
            "artifact": task.name,
            "title": task.title,
            "done": plan.store.has(task),
            "make": task.key in todo,
        }
        for task in run.tasks(plan.until)
    ]


def _print(estimate: Estimate, artifacts: list[dict[str, Any]], absent: str, as_json: bool) -> None:
    if as_json:
        found = {"artifacts": artifacts, "absent": absent, "estimate": estimate.json()}
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    for row in artifacts:
        state = "done" if row["done"] else "make" if row["make"] else "skip"
        print(f"{state}  {row['artifact']:<28}  {row['title']}")
    if artifacts:
        print(f"{sum(row['make'] for row in artifacts)} of {len(artifacts)} artifacts to make\n")
    if absent:
        print(f"missing: {absent}\n")
    print("\n".join(estimate.lines()))
