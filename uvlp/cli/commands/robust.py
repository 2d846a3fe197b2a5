"""`uvlp robust`: robust scores of methods, from the tables that they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli.options import VERBOSITY, DatasetArgument, IpcArgument, Options, takes, what_option

if TYPE_CHECKING:
    from uvlp.artifacts.tables import Table
    from uvlp.cli.run import Execution
    from uvlp.recipes.requests.request import Request

HARD, SOFT, PLAIN = "hard labels", "soft labels", "hard labels without augmentation"
PROTOCOLS = {HARD: "minimax", SOFT: "rded", PLAIN: "minimax"}
NO_AUGMENTATION = {"crop_scale": 1.0, "flip": 0.0, "jitter": 0.0, "lighting": 0.0, "mix_probability": 0.0}
MethodsOption = Annotated[
    list[str],
    what_option("--method", metavar="NAME,...", help="methods to score, e.g. dm,uvlp"),
]


@takes(
    *("seeds", "repeats", "profile", "data", "variant", "settings"),
    *("store", "workers", "per_gpu", "launcher", "launcher_config", "offline", "dry_run"),
    *("report_to", "as_json", *VERBOSITY),
)
def robust(
    context: typer.Context,
    dataset: DatasetArgument,
    ipc: IpcArgument,
    methods: MethodsOption,
    options: Options,
) -> None:
    """Print what methods are worth beyond labels (LRS) and augmentation (ARS), against random images.

    The label-robust score compares a method with random images under its own labels, and with the full set
    under hard labels; the augmentation-robust score compares it with random images with and without
    augmentation. 26.9 is the level of random images (LRS: with hard labels as good as the full set). Missing
    trainings are made.

    Example: uvlp robust digits 10 --method dm
    """
    from uvlp.cli import launching
    from uvlp.cli.request import execution_of, request_of

    own = {"dataset": dataset, "ipc": ipc, "methods": methods}
    options, launcher = launching.of_options(options)
    requests = _requests(request_of(context, options, "tabulate", {}, own))
    dry_run, as_json = options["dry_run"], options["as_json"]
    execution = execution_of(options, as_json=dry_run and as_json, launcher=launcher)
    tables = _tables(requests, execution)
    if not dry_run:
        _print(tables, f"{dataset} at {ipc} images per class", as_json)


def _requests(request: Request) -> dict[str, Request]:
    """Return the runs that the scores need, by their labels."""
    from dataclasses import replace

    from uvlp.core.errors import UvlpError
    from uvlp.declarations.method import declared_method
    from uvlp.pipeline.requests.resolve import resolve
    from uvlp.recipes.requests.request import override
    from uvlp.tables.robust import FULL, RANDOM

    named = resolve(request).methods
    methods = tuple(name for name in named if name not in (RANDOM, FULL))
    if not methods:
        raise UvlpError("--method names no method to score", got=", ".join(named), fix="name one")
    soft = tuple(each for each in methods if declared_method(each.partition(":")[0]).soft_labels)
    made = {name: replace(request, protocol=protocol) for name, protocol in PROTOCOLS.items()}
    plain = {f"evaluate.{name}": value for name, value in NO_AUGMENTATION.items()}
    requests = {
        HARD: replace(made[HARD], methods=(RANDOM, *methods, FULL)),
        PLAIN: override(made[PLAIN], {"methods": (RANDOM, *methods), "settings": plain}),
    }
    return requests | ({SOFT: replace(made[SOFT], methods=(RANDOM, *soft))} if soft else {})


def _tables(requests: Mapping[str, Request], execution: Execution) -> dict[str, Table]:
    """Run what is missing; return the tables by their labels, none in a dry run."""
    from uvlp.artifacts import tables
    from uvlp.cli.run import run, run_aside
    from uvlp.core.display import messages
    from uvlp.pipeline.requests.resolve import store_at

    found = {}
    for name, request in requests.items():
        messages.report("run", f"{name}: {', '.join(request.methods or ())}")
        if execution.dry_run:
            run(request, "tabulate", execution)
            continue
        plan = run_aside(request, "tabulate", execution)  # only the scores are the result
        assert plan is not None, "nothing but a run was asked for"
        found[name] = tables.read(store_at(request.store).folder(plan.goal))
    return found


def _print(tables: Mapping[str, Table], what: str, as_json: bool) -> None:
    import json

    from uvlp.artifacts.task import plain
    from uvlp.cli.printing import screen
    from uvlp.tables.grids import markdown_grid
    from uvlp.tables.robust import grid, robust as scores

    rows = list(scores(tables[HARD], tables[PLAIN], tables.get(SOFT)))
    if as_json:
        print(json.dumps([plain(row) for row in rows], indent=1, ensure_ascii=False))
        return
    heading = f"Robust scores, {what}: 0 to 100, with 95 % intervals over trainings"
    screen.show(f"{heading}\n\n" + "\n".join(markdown_grid(grid(rows, heading))))
