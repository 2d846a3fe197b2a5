"""What `uvlp reproduce` and its like share: plan, make, print."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from uvlp.artifacts import distilled, tables, teachers
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, plain
from uvlp.cli import dry_run, rerun
from uvlp.core import machine, portable
from uvlp.pipeline import make as pipeline, preflight, transfers
from uvlp.pipeline.contenders import resolve_method
from uvlp.pipeline.expected import Goal
from uvlp.pipeline.folders import check_store
from uvlp.pipeline.names import check_names
from uvlp.pipeline.prepare import Run
from uvlp.recipes.schema import Recipe
from uvlp.tables.table import markdown


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What to do with a run, and how."""

    print_config: bool
    dry_run: bool
    workers: int | None
    force: bool
    as_json: bool
    rerun: int | None = None
    offline: bool = False


def carry_out(
    recipe: Recipe, prepare: Callable[[], Run], store: Store, until: str, how: How, goal: Goal | None = None
) -> None:
    """Print the recipe, or prepare the run and print what it would make, or make it and print the result.

    ``goal``: what is made last, as far as the recipe tells; None where only somebody's folders do.
    """
    if recipe.portable:
        portable.enforce()
    if how.print_config:
        print_config(recipe, how.as_json)
        return
    check_store(store.root, DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant))
    store.begin()
    if how.dry_run:
        plan = dry_run.DryRun(
            recipe=recipe, prepare=prepare, store=store, until=until, goal=goal, workers=how.workers
        )
        dry_run.show(plan, how.as_json)
        return
    named = check_names(recipe)
    if until in ("teacher", "evaluate", "tabulate"):
        preflight.check_networks(named)
    transfers.ensure(recipe, store, how.offline, goal, until)
    if how.rerun is not None:
        rerun.rerun(prepare(), store, how.rerun, how.workers or machine.default_workers(), how.as_json)
    else:
        make(prepare(), store, until, workers=how.workers, force=how.force, as_json=how.as_json)


def print_config(recipe: Recipe, as_json: bool) -> None:
    """Print the resolved recipe, each setting with its meaning and the source of its value."""
    if as_json:
        print(json.dumps(plain(recipe), indent=1, ensure_ascii=False))
        return
    for line in _config_lines(recipe, ""):
        print(line)
    for spec in recipe.methods:
        method = resolve_method(spec, recipe)
        for line in _config_lines(method.settings, f"{spec}."):
            print(line)
        if method.synthesis is not None:
            for line in _config_lines(method.synthesis, f"{spec}.synthesis."):
                print(line)


def _config_lines(settings: Any, prefix: str) -> Iterator[str]:
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            yield from _config_lines(value, f"{prefix}{field.name}.")
        elif field.metadata:
            text = f"{prefix}{field.name} = {json.dumps(plain(value), ensure_ascii=False)}"
            default = type(settings).__dataclass_fields__[field.name].default
            source = field.metadata["source"] if value == default else "recipe or command line"
            yield f"{text:<44}  # {field.metadata['help']} [{source}]"


def make(run: Run, store: Store, until: str, *, workers: int | None, force: bool, as_json: bool) -> None:
    """Make what is missing up to the stage ``until`` and print the result."""
    damaged = pipeline.find_damage(run, store, force)
    made = pipeline.make(run, store, until, workers or machine.default_workers(), damaged)
    if as_json:
        print(json.dumps(_result(run, store, until, made), indent=1, ensure_ascii=False))
        return
    if until == "tabulate":
        print(markdown(pipeline.read_table(run, store)))
    if until == "teacher":
        found = teachers.read(store.folder(run.goal))
        images = f"{found.validation_images} test images of {found.validation_set}"
        print(f"{found.architecture}: {found.accuracy_pct:.1f} % of {images}; {found.source}\n")
    _print_places(run, store, until, made)


def _places(run: Run, store: Store, until: str) -> list[Task]:
    """The artifacts worth a line: the scores are named in the table's own files."""
    return [task for task in run.tasks(until) if task.stage not in ("pixels", "evaluate") and store.has(task)]


def _print_places(run: Run, store: Store, until: str, made: int) -> None:
    print(f"Artifacts ({made} made now) in {store.root}:")
    places = _places(run, store, until)
    width = max((len(task.title) for task in places), default=0)
    for task in places:
        sheet = f"/{distilled.SHEET}" if task.kind == distilled.KIND else ""
        table = f"/{tables.FORMATS['markdown']}" if task.kind == tables.KIND else ""
        print(f"  {task.title:<{width}}  {task.name}{sheet}{table}")


def _result(run: Run, store: Store, until: str, made: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "dataset": run.recipe.dataset,
        "content_hash": run.manifest.content_hash,
        **({} if until == "teacher" else {"ipc": run.recipe.ipc}),
        "profile": run.recipe.profile,
        "store": str(store.root),
        "made": made,
        "artifacts": {task.title: task.name for task in _places(run, store, until)},
    }
    if until == "tabulate":
        result["table"] = plain(pipeline.read_table(run, store))
    if until == "teacher":
        result["teacher"] = plain(teachers.read(store.folder(run.goal)))
    return result
