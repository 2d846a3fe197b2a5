"""`uvlp evaluate`: score image folders from any source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli.options import (
    WHAT,
    DataOption,
    DebugOption,
    DryRunOption,
    ForceOption,
    FullOption,
    JsonOption,
    NetworkOption,
    OfflineOption,
    PortableOption,
    PrintOption,
    ProfileOption,
    ProtocolOption,
    RepeatsOption,
    RerunOption,
    SeedOption,
    SetOption,
    StoreOption,
    VariantOption,
    WorkersOption,
    counted,
)

if TYPE_CHECKING:
    from uvlp.cli.request import Request
    from uvlp.cli.run import Execution
    from uvlp.pipeline.folders.published import PublishedSet

PathsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH",
        help="folders PATH/<class>/<images>, or published sets hf://OWNER/NAME@REVISION; "
        "NAME=FOLDER,FOLDER,... is one row with a folder per seed; "
        "baseline:NAME: images of `uvlp baseline import`",
        rich_help_panel=WHAT,
    ),
]
DatasetOption = Annotated[
    str,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="dataset with the real test images: digits, imagenette, ..., or folder:PATH",
        rich_help_panel=WHAT,
    ),
]
IpcOption = Annotated[
    int | None,
    typer.Option(
        "--ipc",
        metavar="N",
        parser=counted("IPC"),
        help="images per class [all, if every class has the same number]",
        rich_help_panel=WHAT,
    ),
]
SelectOption = Annotated[
    str,
    typer.Option(
        "--select",
        metavar="HOW",
        help="which images to use if there are more: first (in string order), or drawn",
        rich_help_panel=WHAT,
    ),
]
RandomOption = Annotated[
    bool,
    typer.Option(
        "--random/--no-random",
        help="also score the same number of random training images",
        rich_help_panel=WHAT,
    ),
]


def evaluate(
    paths: PathsArgument,
    dataset: DatasetOption,
    ipc: IpcOption = None,
    select: SelectOption = "first",
    random: RandomOption = True,
    seed: SeedOption = None,
    network: NetworkOption = None,
    repeats: RepeatsOption = None,
    profile: ProfileOption = None,
    protocol: ProtocolOption = None,
    data: DataOption = None,
    variant: VariantOption = None,
    settings: SetOption = None,
    portable: PortableOption = False,
    store: StoreOption = None,
    workers: WorkersOption = None,
    offline: OfflineOption = False,
    force: ForceOption = False,
    rerun: RerunOption = None,
    dry_run: DryRunOption = False,
    print_config: PrintOption = False,
    full: FullOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Score image folders on real test images.

    Example: uvlp evaluate made/images --dataset digits
    """
    from uvlp.cli.request import Request
    from uvlp.cli.run import Execution

    request = Request(
        dataset=dataset,
        ipc=ipc,
        methods=["random"],
        seeds=seed,
        networks=network,
        repeats=repeats,
        profile=profile,
        protocol=protocol,
        data=data,
        variant=variant,
        settings=settings,
        portable=portable,
    )
    execution = Execution(
        workers=workers,
        offline=offline,
        force=force,
        rerun=rerun,
        dry_run=dry_run,
        print_config=print_config,
        as_json=as_json,
        full=full,
    )
    _score(paths, select, random, request, store, execution)


def _score(
    paths: list[str],
    select: str,
    random: bool,
    request: Request,
    store: str | None,
    execution: Execution,
) -> None:
    """Score the folders, and the same number of random images unless disabled."""
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.cli.request import resolve, store_at
    from uvlp.cli.run import run
    from uvlp.exchange import baseline_imports, hub_fetch
    from uvlp.pipeline import names
    from uvlp.pipeline.folders.collect import Collect, seeds_of
    from uvlp.pipeline.folders.rows import parse_rows

    kept, recipe = store_at(store), resolve(request)
    spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
    rows = tuple(baseline_imports.resolve(parse_rows(paths), kept.root, spec, request.ipc))
    published: dict[str, PublishedSet] = {}
    seeds = seeds_of(rows, recipe.seeds if request.seeds else None)
    recipe = replace(recipe, seeds=seeds or recipe.seeds)
    if not random:
        recipe = replace(recipe, methods=())
    if not execution.print_config:
        names.check(recipe)  # a wrong name is reported before anything is fetched
        offline = execution.offline or execution.dry_run
        rows, published = hub_fetch.fetch_rows(rows, offline=offline)
    collect = Collect(rows=rows, ipc=request.ipc, select=select, published=published)
    run(recipe, kept, "tabulate", execution, collect)
