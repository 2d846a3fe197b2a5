"""`--dry-run`: what would be made, what is missing, and what it would cost on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts.dataset import DatasetManifest, DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.work import open_dataset
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress, print_remark
from uvlp.pipeline import make as pipeline, preflight, transfers
from uvlp.pipeline.estimates import cards, report
from uvlp.pipeline.estimates.report import Estimate
from uvlp.pipeline.names import check_names
from uvlp.pipeline.planner import STAGES
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
        alone: whether the recipe says by itself what is made, so that it can be planned before its dataset
            is here.
        workers: processes; None: as many as the run would start.
    """

    recipe: Recipe
    prepare: Callable[[], Run]
    store: Store
    until: str
    alone: bool
    workers: int | None


def show(plan: DryRun, as_json: bool) -> None:
    """Print it; nothing is made or transferred.

    Raises:
        UvlpError: an unknown name, a wrong number, or files that are wrong.
    """
    recipe = check_names(plan.recipe)
    manifest, absent = _opened(recipe, plan.store) if plan.alone else (None, "")
    missing = transfers.missing(recipe, plan.store)
    if plan.alone and (absent or missing):
        if manifest is not None:  # else told where the run is prepared
            print_notes(recipe.dataset, manifest)
        tasks = report.expected_tasks(recipe, manifest)
        wanted = [task for task in tasks if STAGES.index(task.stage) <= STAGES.index(plan.until)]
        preflight.check(recipe, None, wanted, plan.store.cache)
        estimate = report.estimate(
            recipe,
            cards.this_machine(),
            tasks=wanted,
            manifest=manifest,
            fetched=missing,
            workers=plan.workers,
        )
        _print(estimate, [], absent, as_json)
        return
    run = plan.prepare()
    pipeline.check(run, plan.store, pipeline.missing(run, plan.store, plan.until))
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


def _opened(recipe: Recipe, store: Store) -> tuple[DatasetManifest | None, str]:
    """The dataset's manifest, or why a named dataset cannot be opened.

    Raises:
        UvlpError: a dataset that has no name but a path cannot be opened.
    """
    spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
    try:
        manifest = open_dataset(spec, store.cache, Progress(print_remark, "dataset")).manifest
    except UvlpError as error:
        if not hasattr(plugins.load("datasets", spec.name), "VARIANTS"):
            raise
        return None, str(error)
    return manifest, ""


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
