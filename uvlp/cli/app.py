"""Words in, exit code out: 0 done, 1 a stage failed, 2 the request or the input is wrong, 130 stopped."""

from __future__ import annotations

import re
import sys
import traceback
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli import captions
from uvlp.cli.options import (
    AlphaOption,
    DataOption,
    DatasetArgument,
    DebugOption,
    DryRunOption,
    FinetunedOption,
    ForceOption,
    IpcArgument,
    JsonOption,
    MethodOption,
    MissingOption,
    NetworkOption,
    OfflineOption,
    OwnIpcOption,
    PortableOption,
    PrintOption,
    ProfileOption,
    ProtocolOption,
    RandomOption,
    RepeatsOption,
    RerunOption,
    ScoredOnOption,
    SeedOption,
    SelectOption,
    SetOption,
    StoreOption,
    VariantOption,
    WorkersOption,
    path_option,
)
from uvlp.core import interrupts, streams
from uvlp.core.errors import UvlpError, WorkerFailed
from uvlp.core.files import os_errors, places

if TYPE_CHECKING:
    from uvlp.cli import reproduce

MOST_WORKERS = 1024
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Reproduce and compare diffusion-based dataset distillation.",
)
app.add_typer(captions.app, name="captions")


def _how(
    print_config: bool,
    dry_run: bool,
    workers: str | None,
    force: bool,
    as_json: bool,
    offline: bool,
    rerun: str | None = None,
) -> reproduce.How:
    """The options that every command of the chain takes, in one value."""
    from uvlp.cli import reproduce
    from uvlp.cli.request import number

    return reproduce.How(
        print_config=print_config,
        dry_run=dry_run,
        workers=None if workers is None else number("--workers", workers, 1, MOST_WORKERS),
        force=force,
        as_json=as_json,
        rerun=None if rerun is None else number("--rerun", rerun, 1),
        offline=offline,
    )


def _command(until: str, name: str, text: str) -> None:
    """Add a command that runs the chain up to the stage ``until``."""

    def run(
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
        as_json: JsonOption = False,
        debug: DebugOption = False,
    ) -> None:
        from uvlp.cli import reproduce
        from uvlp.cli.request import Request, resolve, store_at
        from uvlp.pipeline.expected import table
        from uvlp.pipeline.prepare import prepare

        recipe = resolve(
            Request(
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
        )
        place = store_at(store)
        how = _how(print_config, dry_run, workers, force, as_json, offline, rerun)
        reproduce.carry_out(recipe, lambda: prepare(recipe, place), place, until, how, table)

    app.command(name, help=text)(run)


_command("tabulate", "reproduce", "Run the whole chain and print the table.")
_command("caption", "caption", "Stop after the captions.")
_command("finetune", "finetune", "Stop after the models.")
_command("embed", "embed", "Stop after the features.")
_command("prototype", "prototype", "Stop after the prototypes.")
_command("synthesise", "synthesise", "Stop after the distilled images.")


@app.command()
def evaluate(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="folders PATH/<class>/<images>; NAME=FOLDER,FOLDER,... is one row with a folder per seed",
        ),
    ],
    dataset: ScoredOnOption,
    ipc: OwnIpcOption = None,
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
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Score image folders that any method made on the real test images of a dataset."""
    from uvlp.cli import evaluate
    from uvlp.cli.request import Request, store_at

    folders = evaluate.Folders(paths=paths, ipc=ipc, select=select, random=random)
    request = Request(
        dataset=dataset,
        ipc="",  # the folders may decide on it
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
    how = _how(print_config, dry_run, workers, force, as_json, offline, rerun)
    evaluate.score(folders, request, store_at(store), how)


@app.command()
def teacher(
    dataset: DatasetArgument,
    network: Annotated[str, typer.Argument(help="conv3, resnet18_modified, ...")],
    checkpoint: Annotated[
        str | None,
        typer.Option(
            callback=path_option,
            help="a .safetensors or .pth file, or `torchvision`, to take it from [train it here]",
        ),
    ] = None,
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
    """Train or import the teacher of the RDED protocol, and measure it on the real test images."""
    from uvlp.cli import teacher
    from uvlp.cli.request import Request, store_at

    request = Request(
        dataset=dataset,
        ipc="1",  # a teacher knows nothing of it
        profile=profile,
        protocol="rded",
        data=data,
        variant=variant,
        settings=settings,
        portable=portable,
    )
    how = _how(print_config, dry_run, workers, force, as_json, offline)
    teacher.provide(request, network, checkpoint, store_at(store), how)


@app.command()
def fetch(
    target: Annotated[
        str,
        typer.Argument(help="a dataset, models (all three), or diffusion, autoencoder, clip or llava alone"),
    ],
    data: DataOption = None,
    variant: VariantOption = None,
    settings: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Fetch a dataset or the published models; sizes first, and afterwards nothing needs the network."""
    from uvlp.cli import fetch
    from uvlp.cli.request import store_at

    place = store_at(store)
    place.begin()
    fetch.run(target, data or "", variant or "", settings or [], place.cache, as_json)


@app.command(name="list")
def list_names(
    what: Annotated[str, typer.Argument(help="methods, datasets, networks, protocols, captioners or tables")],
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List what there is, by the names that the other commands take."""
    from uvlp.cli import listing
    from uvlp.cli.request import store_at

    listing.show(what, store_at(store), as_json)


@app.command()
def table(
    name: Annotated[
        str, typer.Argument(help="a measured table such as digits-ipc10; see `uvlp list tables`")
    ],
    form: Annotated[str, typer.Option("--format", help="markdown, latex or csv")] = "markdown",
    against: Annotated[
        str | None, typer.Option("--against", help="compare with this method of the table [random]")
    ] = None,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Print a table from the store."""
    from uvlp.cli import table
    from uvlp.cli.request import store_at

    table.show(name, form, against, store_at(store))


@app.command()
def doctor(store: StoreOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Check python, packages, GPU, disk and the store, and say how to mend what is missing."""
    from uvlp.cli import doctor

    raise typer.Exit(doctor.show(places.store_folder(store).absolute(), as_json))


def _no_negative_numbers(arguments: list[str]) -> None:
    # The option parser would take -3 for an unknown option.
    for argument in arguments:
        if re.fullmatch(r"-[0-9.]+", argument):
            allowed = "IPC and repeats 1 or more, seeds 0 or more"
            raise UvlpError("a number is negative", got=argument, allowed=allowed)


def _no_unreadable_words(arguments: list[str]) -> None:
    # They end in files of UTF-8, sooner or later.
    for argument in arguments:
        if any("\ud800" <= sign <= "\udfff" for sign in argument):
            do = "rename what it names"
            raise UvlpError("an argument is no UTF-8 text", got=argument, do=do)


def _call() -> int:
    streams.check_output()
    _no_unreadable_words(sys.argv[1:])
    places.check_endpoint()
    _no_negative_numbers(sys.argv[1:])
    return app(standalone_mode=False) or 0


def _guarded(debug: bool) -> int:
    """Run the command line; every error becomes one line and an exit code."""
    try:
        code = _call()
    except KeyboardInterrupt:
        code = interrupts.STOPPED
    except SystemExit as end:  # the library's way to end where a pipe is closed
        if not (isinstance(end.__context__, BrokenPipeError) and streams.nobody_reads()):
            raise
        return streams.leave_quietly()
    except (UvlpError, typer.TyperException, WorkerFailed) as error:
        text = error.format_message() if hasattr(error, "format_message") else str(error)
        hint = "" if isinstance(error, UvlpError | typer.TyperException) else " (--debug shows the traceback)"
        asked = text.startswith("Usage:")  # no command at all: the text is the help
        streams.complain(text if asked else f"uvlp: {text}{hint}")
        if debug:
            streams.complain("".join(traceback.format_exception(error)))
        return int(getattr(error, "exit_code", 1))
    except Exception as error:
        if isinstance(error, BrokenPipeError) and streams.nobody_reads():
            return streams.leave_quietly()
        refused = os_errors.explained(error)
        what = f"{type(error).__name__}: {error}".replace("\n", " ")
        defect = f"a defect of ours: {what} (--debug shows the traceback)"
        streams.complain(f"uvlp: {refused or defect}")
        if debug:
            streams.complain("".join(traceback.format_exception(error)))
        return refused.exit_code if refused else 1
    if code == interrupts.STOPPED:
        interrupts.tell()
    return code


def main() -> None:
    """The console script."""
    streams.prepare()
    places.forget_empty_variables()
    sys.exit(streams.finish(_guarded("--debug" in sys.argv)))
