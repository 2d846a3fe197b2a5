"""`uvlp reproduce`, the commands that stop after an earlier stage of the same chain, and `uvlp ablate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvlp.cli.options import (
    WHAT,
    AlphaOption,
    DataOption,
    DatasetArgument,
    DebugOption,
    DetachOption,
    DryRunOption,
    FinetunedOption,
    ForceOption,
    FullOption,
    IpcArgument,
    JsonOption,
    LauncherConfigOption,
    LauncherOption,
    MethodOption,
    MissingOption,
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
)

if TYPE_CHECKING:
    from uvlp.pipeline.planning.ablations import Ablated

COMMANDS = {
    "reproduce": ("tabulate", "Run the complete chain and print the table."),
    "caption": ("caption", "Stop after the captions."),
    "finetune": ("finetune", "Stop after the models."),
    "embed": ("embed", "Stop after the features."),
    "prototype": ("prototype", "Stop after the prototypes."),
    "synthesise": ("synthesise", "Stop after the distilled images."),
}
"""The last stage of each command, and its help."""
OF_THE_REQUEST = (
    *("dataset", "ipc", "repeats", "profile", "protocol", "data", "variant", "finetuned_model", "alpha"),
    *("missing_captions", "portable"),
)
OF_THE_EXECUTION = (*("workers", "offline", "force", "rerun", "dry_run", "print_config", "as_json", "full"),)
AblatedArgument = Annotated[
    str,
    typer.Argument(
        metavar="METHOD",
        help="a method with variants: uvlp (`uvlp list methods`); one with some of them removes others too",
        rich_help_panel=WHAT,
    ),
]
PairsOption = Annotated[
    bool, typer.Option("--pairs", help="also remove two parts at once", rich_help_panel=WHAT)
]


def chain(
    context: typer.Context,
    dataset: DatasetArgument,
    ipc: IpcArgument,
    method: MethodOption = None,
    seed: SeedOption = None,
    network: NetworkOption = None,
    repeats: RepeatsOption = None,
    profile: ProfileOption = None,
    protocol: ProtocolOption = None,
    data: DataOption = None,
    variant: VariantOption = None,
    finetuned_model: FinetunedOption = None,
    alpha: AlphaOption = None,
    missing_captions: MissingOption = None,
    settings: SetOption = None,
    portable: PortableOption = False,
    store: StoreOption = None,
    workers: WorkersOption = None,
    launcher: LauncherOption = None,
    launcher_config: LauncherConfigOption = None,
    detach: DetachOption = False,
    offline: OfflineOption = False,
    force: ForceOption = False,
    rerun: RerunOption = None,
    dry_run: DryRunOption = False,
    print_config: PrintOption = False,
    full: FullOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Run the chain up to the last stage of the called command."""
    _run(context.params, COMMANDS[str(context.info_name)][0])


def ablate(
    context: typer.Context,
    method: AblatedArgument,
    dataset: DatasetArgument,
    ipc: IpcArgument,
    pairs: PairsOption = False,
    seed: SeedOption = None,
    network: NetworkOption = None,
    repeats: RepeatsOption = None,
    profile: ProfileOption = None,
    protocol: ProtocolOption = None,
    data: DataOption = None,
    variant: VariantOption = None,
    finetuned_model: FinetunedOption = None,
    alpha: AlphaOption = None,
    missing_captions: MissingOption = None,
    settings: SetOption = None,
    portable: PortableOption = False,
    store: StoreOption = None,
    workers: WorkersOption = None,
    launcher: LauncherOption = None,
    launcher_config: LauncherConfigOption = None,
    detach: DetachOption = False,
    offline: OfflineOption = False,
    force: ForceOption = False,
    rerun: RerunOption = None,
    dry_run: DryRunOption = False,
    print_config: PrintOption = False,
    full: FullOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Remove the parts of a method one by one, and print what each is worth.

    Example: uvlp ablate uvlp digits 10
    """
    from uvlp.pipeline.planning.ablations import Ablated

    _run({**context.params, "method": None}, "tabulate", Ablated(method=method, pairs=pairs))


def _run(options: Mapping[str, Any], until: str, ablated: Ablated | None = None) -> None:
    """Run the chain up to a stage with the options of one of the commands."""
    from uvlp.cli import launching
    from uvlp.cli.request import Request, resolve, split, store_at
    from uvlp.cli.run import Execution, run
    from uvlp.pipeline.published import groups

    of_launcher, settings = launching.split_settings(options["settings"] or [])
    request = Request(
        methods=options["method"],
        seeds=options["seed"],
        networks=options["network"],
        settings=settings,
        **{name: options[name] for name in OF_THE_REQUEST},
    )
    launcher = launching.resolve(
        options["launcher"], options["launcher_config"], of_launcher, detach=options["detach"]
    )
    execution = Execution(
        launcher=launcher,
        announced=any(name in groups.GROUPS for name in split(request.methods or [])),
        **{name: options[name] for name in OF_THE_EXECUTION},
    )
    run(resolve(request), store_at(options["store"]), until, execution, ablated=ablated)
