"""`uvlp teacher`: the network whose soft labels are the targets of the RDED protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from uvlp.cli.options import (
    WHAT,
    DataOption,
    DatasetArgument,
    DebugOption,
    DryRunOption,
    ForceOption,
    JsonOption,
    OfflineOption,
    PortableOption,
    PrintOption,
    ProfileOption,
    SetOption,
    StoreOption,
    VariantOption,
    WorkersOption,
    path_option,
)

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK", help="conv3, resnet18_modified, ... (`uvlp list networks`)", rich_help_panel=WHAT
    ),
]
CheckpointOption = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        callback=path_option,
        help="import a .safetensors or .pth file, or `torchvision` [train it here]",
        rich_help_panel=WHAT,
    ),
]


def teacher(
    dataset: DatasetArgument,
    network: NetworkArgument,
    checkpoint: CheckpointOption = None,
    profile: ProfileOption = None,
    data: DataOption = None,
    variant: VariantOption = None,
    settings: SetOption = None,
    portable: PortableOption = False,
    store: StoreOption = None,
    workers: WorkersOption = None,
    offline: OfflineOption = False,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    print_config: PrintOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Train or import a teacher of the RDED protocol.

    Its accuracy is measured on the real test images. The result is the teacher that
    `uvlp reproduce --protocol rded` uses.

    Example: uvlp teacher digits conv3
    """
    from uvlp.cli.request import Request, resolve, store_at
    from uvlp.cli.run import Execution, run

    request = Request(
        dataset=dataset,
        profile=profile,
        protocol="rded",
        data=data,
        variant=variant,
        settings=settings,
        portable=portable,
    )
    execution = Execution(
        workers=workers,
        offline=offline,
        force=force,
        dry_run=dry_run,
        print_config=print_config,
        as_json=as_json,
    )
    recipe = resolve(request)
    source = recipe.teacher.source if checkpoint is None else checkpoint
    # The recipe's own networks may belong to another protocol.
    settings_of_teacher = replace(recipe.teacher, network=network, source=source)
    recipe = replace(recipe, networks=(network,), teacher=settings_of_teacher)
    run(recipe, store_at(store), "teacher", execution)
