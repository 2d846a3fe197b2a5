"""`uvlp teacher`: the network whose soft labels are the targets of the RDED protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from uvlp.cli import completion
from uvlp.cli.options import VERBOSITY, DatasetArgument, Options, argument, path_option, takes, what_option

NetworkArgument = Annotated[
    str | None,
    argument(
        metavar="NETWORK",
        autocompletion=completion.networks,
        help="conv3, resnet18_modified, ... (`uvlp list networks`)",
    ),
]
CheckpointOption = Annotated[
    str | None,
    what_option(
        "--checkpoint",
        metavar="FILE",
        callback=path_option,
        help="import a .safetensors or .pth file, or `torchvision` [train it here]",
    ),
]


@takes(
    *("config", "profile", "data", "variant", "settings", "portable", "store", "workers", "launcher"),
    *("launcher_config", "detach", "offline", "force", "dry_run", "gpu", "print_config", "form"),
    *("report_to", "as_json", *VERBOSITY),
)
def teacher(
    context: typer.Context,
    options: Options,
    dataset: DatasetArgument = None,
    network: NetworkArgument = None,
    checkpoint: CheckpointOption = None,
) -> None:
    """Train or import a teacher of the RDED protocol.

    Its accuracy is measured on the real test images. The result is the teacher that
    `uvlp reproduce --protocol rded` uses.

    Example: uvlp teacher digits conv3
    """
    from uvlp.cli import launching
    from uvlp.cli.request import execution_of, request_of
    from uvlp.cli.run import run
    from uvlp.recipes.requests.request import override

    needed = {"dataset": "dataset", "networks": "network"}
    own = {"dataset": dataset, "networks": [network] if network else None, "protocol": "rded"}
    options, launcher = launching.of_options(options)
    request = request_of(context, options, "teacher", needed, own)
    # The recipe's own networks may belong to another protocol.
    settings = {"teacher.network": ",".join(map(str, request.networks or ()))}
    if checkpoint is not None:
        settings["teacher.source"] = checkpoint
    run(override(request, {"settings": settings}), "teacher", execution_of(options, launcher=launcher))
