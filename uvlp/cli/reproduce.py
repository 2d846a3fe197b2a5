"""`uvlp reproduce`, and the commands that stop after an earlier stage of the same chain."""

from __future__ import annotations

import typer

from uvlp.cli.options import (
    AlphaOption,
    DataOption,
    DatasetArgument,
    DebugOption,
    DryRunOption,
    FinetunedOption,
    ForceOption,
    FullOption,
    IpcArgument,
    JsonOption,
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

COMMANDS = {
    "reproduce": ("tabulate", "Run the complete chain and print the table."),
    "caption": ("caption", "Stop after the captions."),
    "finetune": ("finetune", "Stop after the models."),
    "embed": ("embed", "Stop after the features."),
    "prototype": ("prototype", "Stop after the prototypes."),
    "synthesise": ("synthesise", "Stop after the distilled images."),
}
"""The last stage of each command, and its help."""


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
    from uvlp.cli.request import Request, resolve, store_at
    from uvlp.cli.run import Execution, run

    request = Request(
        dataset=dataset,
        ipc=ipc,
        methods=method,
        seeds=seed,
        networks=network,
        repeats=repeats,
        profile=profile,
        protocol=protocol,
        data=data,
        variant=variant,
        finetuned_model=finetuned_model,
        alpha=alpha,
        missing_captions=missing_captions,
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
    run(resolve(request), store_at(store), COMMANDS[str(context.info_name)][0], execution)
