"""`uvlp robust`: robust scores of methods, from the tables that they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli.options import (
    WHAT,
    DataOption,
    DatasetArgument,
    DebugOption,
    DryRunOption,
    IpcArgument,
    JsonOption,
    OfflineOption,
    ProfileOption,
    RepeatsOption,
    SeedOption,
    SetOption,
    StoreOption,
    VariantOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from uvlp.artifacts.store import Store
    from uvlp.artifacts.tables import Table
    from uvlp.cli.run import Execution
    from uvlp.recipes.schema import Recipe

HARD, SOFT, PLAIN = "hard labels", "soft labels", "hard labels without augmentation"
PROTOCOLS = {HARD: "minimax", SOFT: "rded", PLAIN: "minimax"}
NO_AUGMENTATION = {"crop_scale": 1.0, "flip": 0.0, "jitter": 0.0, "lighting": 0.0, "mix_probability": 0.0}
MethodsOption = Annotated[
    list[str],
    typer.Option("--method", metavar="NAME,...", help="methods to score, e.g. dm,uvlp", rich_help_panel=WHAT),
]


def robust(
    dataset: DatasetArgument,
    ipc: IpcArgument,
    method: MethodsOption,
    seed: SeedOption = None,
    repeats: RepeatsOption = None,
    profile: ProfileOption = None,
    data: DataOption = None,
    variant: VariantOption = None,
    settings: SetOption = None,
    store: StoreOption = None,
    workers: WorkersOption = None,
    offline: OfflineOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Print what methods are worth beyond labels (LRS) and augmentation (ARS), against random images.

    The label-robust score compares a method with random images under its own labels, and with the full set
    under hard labels; the augmentation-robust score compares it with random images with and without
    augmentation. 26.9 is the level of random images (LRS: with hard labels as good as the full set). Missing
    trainings are made.

    Example: uvlp robust digits 10 --method dm
    """
    from uvlp.cli.request import Request, store_at
    from uvlp.cli.run import Execution

    request = Request(
        dataset=dataset,
        ipc=ipc,
        methods=method,
        seeds=seed,
        repeats=repeats,
        profile=profile,
        data=data,
        variant=variant,
        settings=settings,
    )
    recipes = _recipes(request)
    execution = Execution(workers=workers, offline=offline, dry_run=dry_run, as_json=dry_run and as_json)
    tables = _tables(recipes, store_at(store), execution)
    if not dry_run:
        _print(tables, f"{dataset} at {ipc} images per class", as_json)


def _recipes(request: object) -> dict[str, Recipe]:
    """Return the runs that the scores need, by their labels."""
    from dataclasses import replace

    from uvlp.cli.request import Request, resolve
    from uvlp.core.errors import UvlpError
    from uvlp.declarations.method import declared_method
    from uvlp.recipes import overrides
    from uvlp.tables.robust import FULL, RANDOM

    assert isinstance(request, Request)
    made = {name: resolve(replace(request, protocol=protocol)) for name, protocol in PROTOCOLS.items()}
    methods = tuple(name for name in made[HARD].methods if name not in (RANDOM, FULL))
    if not methods:
        raise UvlpError(
            "--method names no method to score", got=", ".join(made[HARD].methods), fix="name one"
        )
    soft = tuple(each for each in methods if declared_method(each.partition(":")[0]).soft_labels)
    plain = overrides.merge(made[PLAIN].evaluate, NO_AUGMENTATION)
    recipes = {
        HARD: replace(made[HARD], methods=(RANDOM, *methods, FULL)),
        PLAIN: replace(made[PLAIN], methods=(RANDOM, *methods), evaluate=plain),
    }
    return recipes | ({SOFT: replace(made[SOFT], methods=(RANDOM, *soft))} if soft else {})


def _tables(recipes: Mapping[str, Recipe], store: Store, execution: Execution) -> dict[str, Table]:
    """Run what is missing; return the tables by their labels, none in a dry run."""
    import contextlib
    import sys

    from uvlp.artifacts import tables
    from uvlp.cli.run import run
    from uvlp.core import streams
    from uvlp.pipeline.names import check
    from uvlp.pipeline.prepare import prepare

    found = {}
    for name, recipe in recipes.items():
        streams.print_error(f"run    {name}: {', '.join(recipe.methods)}")
        if execution.dry_run:
            run(recipe, store, "tabulate", execution)
            continue
        with contextlib.redirect_stdout(sys.stderr):  # only the scores are the result
            run(recipe, store, "tabulate", execution)
        found[name] = tables.read(store.folder(prepare(check(recipe), store, "tabulate").goal))
    return found


def _print(tables: Mapping[str, Table], what: str, as_json: bool) -> None:
    import json

    from uvlp.artifacts.task import plain
    from uvlp.tables.grids import markdown_grid
    from uvlp.tables.robust import grid, robust as scores

    rows = list(scores(tables[HARD], tables[PLAIN], tables.get(SOFT)))
    if as_json:
        print(json.dumps([plain(row) for row in rows], indent=1, ensure_ascii=False))
        return
    heading = f"Robust scores, {what}: 0 to 100, with 95 % intervals over trainings"
    print(f"{heading}\n\n" + "\n".join(markdown_grid(grid(rows, heading))))
