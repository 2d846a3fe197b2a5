"""`uvlp evaluate`: score images from any source."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from uvlp.cli.options import WHAT, Many, Options, counted, takes
from uvlp.recipes.requests.values import decimal

PathsArgument = Annotated[
    Many,
    typer.Argument(
        metavar="PATH",
        help="folders PATH/<class>/<images> or archives of them, files FILE.pt, .npz or .safetensors with "
        "images and labels, or published sets hf://OWNER/NAME@REVISION; NAME=FOLDER,FOLDER,... is one row "
        "with a folder per seed; "
        "baseline:NAME: images of `uvlp baseline import`",
        rich_help_panel=WHAT,
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="dataset with the real test images: digits, imagenette, ..., folder:PATH, hf:OWNER/NAME",
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

LayoutOption = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="NAME",
        help="order of the axes in a file of tensors: nchw, nhwc [recognised]",
        rich_help_panel=WHAT,
    ),
]
NormalisedOption = Annotated[
    str | None,
    typer.Option(
        "--normalised",
        metavar="MEAN,STD",
        help="normalisation of float images in a file, which is undone: MEAN,STD, one of each or three; or "
        "none, for images that are not normalised but go beyond [0, 1]",
        rich_help_panel=WHAT,
    ),
]
LabelKindOption = Annotated[
    str | None,
    typer.Option(
        "--label-kind",
        metavar="KIND",
        help="labels in a file of tensors: integers, probabilities, logits [recognised, but for logits]",
        rich_help_panel=WHAT,
    ),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        metavar="T",
        parser=partial(decimal, "--temperature"),
        help="temperature at which logits in a file are learnt",
        rich_help_panel=WHAT,
    ),
]


@takes(
    *("config", "seeds", "networks", "repeats", "profile", "protocol", "data", "variant", "settings"),
    *("portable", "store", "workers", "per_gpu", "offline", "force", "rerun", "dry_run", "gpu"),
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
    layout: LayoutOption = None,
    normalised: NormalisedOption = None,
    label_kind: LabelKindOption = None,
    temperature: TemperatureOption = None,
) -> None:
    """Score images on real test images.

    Example: uvlp evaluate made/images --dataset digits
    """
    from uvlp.cli.request import execution_of, request_of
    from uvlp.cli.run import run

    needed = {"images": "paths", "dataset": "dataset"}
    own: dict[str, Any] = {"images": paths, "dataset": dataset, "ipc": ipc, "select": select}
    own |= {"random_images": random, "layout": layout, "normalised": normalised}
    own |= {"label_kind": label_kind, "temperature": temperature}
    run(request_of(context, options, "tabulate", needed, own), "tabulate", execution_of(options))
