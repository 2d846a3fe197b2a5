"""`uvlp evaluate`: score image folders from any source."""

from __future__ import annotations

from typing import Annotated

import typer

from uvlp.cli.options import WHAT, Many, Options, counted, takes

PathsArgument = Annotated[
    Many,
    typer.Argument(
        metavar="PATH",
        help="folders PATH/<class>/<images>, or published sets hf://OWNER/NAME@REVISION; "
        "NAME=FOLDER,FOLDER,... is one row with a folder per seed; "
        "baseline:NAME: images of `uvlp baseline import`",
        rich_help_panel=WHAT,
    ),
]
DatasetOption = Annotated[
    str | None,
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
    str | None,
    typer.Option(
        "--select",
        metavar="HOW",
        help="which images to use if there are more: first (in string order), or drawn",
        rich_help_panel=WHAT,
    ),
]
RandomOption = Annotated[
    bool | None,
    typer.Option(
        "--random/--no-random",
        help="also score the same number of random training images",
        rich_help_panel=WHAT,
    ),
]


@takes(
    *("config", "seeds", "networks", "repeats", "profile", "protocol", "data", "variant", "settings"),
    *("portable", "store", "workers", "per_gpu", "offline", "force", "rerun", "dry_run"),
    *("print_config", "form"),
    *("full", "as_json", "debug"),
)
def evaluate(
    context: typer.Context,
    options: Options,
    paths: PathsArgument = None,
    dataset: DatasetOption = None,
    ipc: IpcOption = None,
    select: SelectOption = None,
    random: RandomOption = None,
) -> None:
    """Score image folders on real test images.

    Example: uvlp evaluate made/images --dataset digits
    """
    from uvlp.cli.request import execution_of, request_of
    from uvlp.cli.run import run

    needed = {"images": "paths", "dataset": "dataset"}
    own = {"images": paths, "dataset": dataset, "ipc": ipc, "select": select, "random_images": random}
    run(request_of(context, options, "tabulate", needed, own), "tabulate", execution_of(options))
