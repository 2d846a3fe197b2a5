"""`uvlp evaluate`: score images from any source."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from uvlp.cli import completion
from uvlp.cli.options import (
    VERBOSITY,
    Many,
    Options,
    argument,
    dataset_option,
    ipc_option,
    takes,
    what_option,
)
from uvlp.recipes.requests.values import decimal

PathsArgument = Annotated[
    Many,
    argument(
        metavar="PATH",
        autocompletion=completion.images_to_score,
        help="folders PATH/<class>/<images> or archives of them, files FILE.pt, .npz or .safetensors with "
        "images and labels, or published sets hf://OWNER/NAME@REVISION; NAME=FOLDER,FOLDER,... is one row "
        "with a folder per seed; "
        "baseline:NAME: images of `uvlp baseline import`",
    ),
]
DatasetOption = Annotated[
    str | None,
    dataset_option("dataset with the real test images: digits, imagenette, ..., folder:PATH, hf:OWNER/NAME"),
]
IpcOption = Annotated[
    int | None,
    ipc_option("images per class [all, if every class has the same number]"),
]
SelectOption = Annotated[
    str | None,
    what_option(
        "--select",
        metavar="HOW",
        help="which images to use if there are more: first (in string order), or drawn",
    ),
]
RandomOption = Annotated[
    bool | None,
    what_option(
        "--random/--no-random",
        help="also score the same number of random training images",
    ),
]

LayoutOption = Annotated[
    str | None,
    what_option(
        "--layout",
        metavar="NAME",
        help="order of the axes in every file of tensors: nchw, nhwc [recognised]",
    ),
]
NormalisedOption = Annotated[
    str | None,
    what_option(
        "--normalised",
        metavar="MEAN,STD",
        help="normalisation of float images in every file, undone: MEAN,STD, one of each or three; or "
        "none, for images that are not normalised but go beyond [0, 1]",
    ),
]
LabelKindOption = Annotated[
    str | None,
    what_option(
        "--label-kind",
        metavar="KIND",
        help="labels in every file of tensors: integers, probabilities, logits [recognised, but for logits]",
    ),
]
TemperatureOption = Annotated[
    float | None,
    what_option(
        "--temperature",
        metavar="T",
        parser=partial(decimal, "--temperature"),
        help="temperature at which logits in every file are learnt",
    ),
]


@takes(
    *("config", "seeds", "networks", "repeats", "profile", "protocol", "data", "variant", "settings"),
    *("portable", "store", "workers", "per_gpu", "launcher", "launcher_config", "detach"),
    *("report_to", "offline", "force", "rerun", "dry_run", "gpu", "print_config", "form", "full"),
    *("as_json", *VERBOSITY),
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
    from uvlp.cli import launching
    from uvlp.cli.request import execution_of, request_of
    from uvlp.cli.run import run

    needed = {"images": "paths", "dataset": "dataset"}
    own: dict[str, Any] = {"images": paths, "dataset": dataset, "ipc": ipc, "select": select}
    own |= {"random_images": random, "layout": layout, "normalised": normalised}
    own |= {"label_kind": label_kind, "temperature": temperature}
    options, launcher = launching.of_options(options)
    request = request_of(context, options, "tabulate", needed, own)
    run(request, "tabulate", execution_of(options, launcher=launcher))
