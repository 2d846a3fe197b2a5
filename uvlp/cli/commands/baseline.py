"""`uvlp baseline`: the published code of methods: pinned commits, clones, and the images that it made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli import completion
from uvlp.cli.command import Command, Group
from uvlp.cli.options import (
    VERBOSITY,
    Options,
    argument,
    dataset_option,
    how_option,
    ipc_option,
    path_option,
    takes,
)
from uvlp.cli.printing import screen

if TYPE_CHECKING:
    from uvlp.exchange.baseline_imports import Record

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Published code of methods: pinned commits, clones, and images that it made.",
)

NameArgument = Annotated[
    str,
    argument(
        metavar="NAME", autocompletion=completion.baselines, help="vlcp, d4m, ... (`uvlp baseline list`)"
    ),
]
FoldersArgument = Annotated[
    list[str],
    argument(
        metavar="FOLDER",
        help="folders FOLDER/<class>/<images>, one per seed of the published code: seeds 0, 1, ...",
    ),
]
DatasetOption = Annotated[
    str,
    dataset_option("dataset with the classes of the images: imagenette, ..., or folder:PATH"),
]
IpcOption = Annotated[
    int | None,
    ipc_option("images per class, the first in string order [all, if every class has the same number]"),
]
ToOption = Annotated[
    str | None,
    how_option(
        "--to",
        metavar="DIR",
        callback=path_option,
        help="new folder of the clone [baselines/NAME in $UVLP_DATA or ./uvlp_data]",
    ),
]


@app.command("list", cls=Command)
@takes("as_json", "debug")
def list_baselines(options: Options) -> None:
    """List the repositories with commit and licence.

    Example: uvlp baseline list
    """
    from dataclasses import asdict

    from uvlp.exchange import baselines

    listed = baselines.entries()
    if options["as_json"]:
        print(json.dumps({name: asdict(entry) for name, entry in listed.items()}, indent=1))
        return
    pinned = "{commit:.12}  {repository}  licence: {licence}"
    texts = {
        name: pinned.format(**asdict(entry)) if entry.commit else f"not pinned: {entry.unpinned}"
        for name, entry in listed.items()
    }
    screen.show_columns(list(texts.items()))


@app.command("fetch", cls=Command)
@takes(*VERBOSITY)
def fetch(name: NameArgument, options: Options, to: ToOption = None) -> None:
    """Clone the pinned commit of a repository, without history, submodules or hooks.

    Example: uvlp baseline fetch vlcp
    """
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.core.files.paths import expand_home
    from uvlp.exchange import baselines, checkouts

    baseline = baselines.pinned(name)
    default = DatasetSpec(name="").root / "baselines" / baseline.name
    folder = (expand_home(to) if to else default).absolute()
    print(f"cloning {baseline.repository} at {baseline.commit}", flush=True)
    checkouts.fetch(baseline, folder)
    advice = {
        "none": "none: ask its authors before you pass it on",
        "unknown": "unknown: look before you use it",
    }
    screen.show(f"{folder}\nlicence: {advice.get(baseline.licence, baseline.licence)}")


@app.command("import", cls=Command)
@takes("data", "variant", "store", "workers", "offline", "force", "as_json", *VERBOSITY)
def import_images(
    context: typer.Context,
    name: NameArgument,
    folders: FoldersArgument,
    dataset: DatasetOption,
    options: Options,
    ipc: IpcOption = None,
) -> None:
    """Import images that the pinned commit of a baseline made; its folders are the seeds of one row.

    They are copied into the store with repository and commit, and scored as baseline:NAME.

    Example: uvlp baseline import vlcp out/seed0 out/seed1 --dataset imagenette
    """
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.cli.request import execution_of, request_of
    from uvlp.cli.run import run
    from uvlp.exchange import baseline_imports, baselines
    from uvlp.pipeline.requests.resolve import store_at

    baseline = baselines.pinned(name)
    row = baseline_imports.row(baseline, folders)
    request = request_of(
        context, options, "collect", {}, {"dataset": dataset, "ipc": ipc, "random_images": False}
    )
    plan = run(request, "collect", execution_of(options), [row])
    assert plan is not None, "nothing but a run was asked for"
    recipe = plan.recipe
    spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
    record = baseline_imports.keep(store_at(request.store), baseline, spec, plan, folders)
    if not options["as_json"]:
        _print_import(record, spec)


def _print_import(record: Record, spec: object) -> None:
    count = len(record.images)
    screen.show(f"\n{record.row}: {count} seed{'s' if count > 1 else ''}, {record.ipc} images per class")
    print(f"score them with: uvlp evaluate baseline:{record.baseline['name']} --dataset {spec}")
