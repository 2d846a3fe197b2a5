"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from uvlp.cli import completion
from uvlp.cli.command import HOW, OUTPUT, WHAT
from uvlp.core.display import messages
from uvlp.core.errors import UvlpError
from uvlp.core.files.paths import refuse_empty
from uvlp.recipes.overrides import LARGEST_INTEGER
from uvlp.recipes.requests.request import MOST_WORKERS
from uvlp.recipes.requests.values import decimal, integer

Many = list[str] | None


def path_option(option: typer.CallbackParam, value: str | None) -> str | None:
    """Refuse an empty path.

    Raises:
        UvlpError: the option was given but is empty.
    """
    return refuse_empty(option.opts[0], value)


what_option = partial(typer.Option, rich_help_panel=WHAT)
how_option = partial(typer.Option, rich_help_panel=HOW)
output_option = partial(typer.Option, rich_help_panel=OUTPUT)
argument = partial(typer.Argument, rich_help_panel=WHAT)
"""Declarations of an option in a section of the help, and of an argument."""


def counted(name: str, least: int = 1, most: int = LARGEST_INTEGER) -> Any:
    """Return a parser of integers for an option of this name."""
    return lambda text: integer(name, text, least, most)


def dataset_option(text: str) -> Any:
    """Return the declaration of ``--dataset``; ``text`` is its help."""
    return what_option("--dataset", metavar="NAME", autocompletion=completion.datasets, help=text)


def ipc_option(text: str) -> Any:
    """Return the declaration of ``--ipc``; ``text`` is its help."""
    return what_option(
        "--ipc", metavar="N", parser=counted("--ipc"), autocompletion=completion.ipcs, help=text
    )


def _prints(much: int) -> Callable[[typer.Context, bool], bool]:
    """Return a callback that prints as much as this until the command ends, if the option is given."""

    def use(context: typer.Context, given: bool) -> bool:
        if given:
            if context.meta.setdefault(_prints.__name__, much) != much:
                raise UvlpError("--verbose with --quiet", fix="leave one out")
            context.with_resource(messages.printed(much))
        return given

    return use


DatasetArgument = Annotated[
    str | None,
    argument(
        metavar="DATASET",
        autocompletion=completion.datasets,
        help="digits, imagenette, ... (`uvlp list datasets`), folder:PATH with train/ and val/, or "
        "hf:OWNER/NAME of the hub",
    ),
]
IpcArgument = Annotated[
    int | None,
    argument(metavar="IPC", parser=counted("IPC"), autocompletion=completion.ipcs, help="images per class"),
]
ConfigOption = Annotated[
    str | None,
    what_option(
        "--config",
        metavar="FILE",
        callback=path_option,
        help="TOML file as printed by --print-config --format toml; options override it",
    ),
]
FromOption = Annotated[
    str | None,
    what_option(
        "--from",
        metavar="ARTIFACT",
        autocompletion=completion.artifacts,
        help="run the recipe of a stored artifact again: a table, kind/key",
    ),
]
MethodOption = Annotated[
    Many,
    what_option(
        "--method",
        metavar="NAME,...",
        autocompletion=completion.methods,
        help="methods and variants, e.g. random,uvlp:top-k=1+no-outliers; `paper`: the columns of the "
        "dataset's published tables; `all`: every method",
    ),
]
SeedOption = Annotated[Many, what_option("--seed", metavar="N,...", help="distillation seeds, e.g. 0,1,2")]
NetworkOption = Annotated[
    Many,
    what_option(
        "--network",
        metavar="NAME,...",
        autocompletion=completion.networks,
        help="test networks: a family with its depth, e.g. convnet-3,resnet-18, or timm:NAME",
    ),
]
RepeatsOption = Annotated[
    int | None,
    what_option(
        "--repeats", metavar="N", parser=counted("repeats"), help="trainings of each network per seed"
    ),
]
ProfileOption = Annotated[
    str | None,
    what_option(
        "--profile",
        metavar="NAME",
        help="model sizes and schedules: sd15, small, tiny, nano [the dataset's own]",
    ),
]
ProtocolOption = Annotated[
    str | None, what_option("--protocol", metavar="NAME", help="evaluation protocol: minimax, rded")
]
MissingOption = Annotated[
    str | None,
    what_option(
        "--missing-captions",
        metavar="RULE",
        help="for images without a caption: stop, or empty (use an empty one)",
    ),
]
DataOption = Annotated[
    str | None,
    what_option(
        "--data",
        metavar="DIR",
        callback=path_option,
        help="folder of datasets [$UVLP_DATA or ./uvlp_data]",
    ),
]
VariantOption = Annotated[
    str | None,
    what_option("--variant", metavar="NAME", help="published version of the dataset, e.g. fastai, ilsvrc"),
]
FinetunedOption = Annotated[
    str | None,
    what_option(
        "--finetuned-model", metavar="DIR", help="use this fine-tuned pipeline instead of fine-tuning"
    ),
]
AlphaOption = Annotated[
    float | None,
    what_option(
        "--alpha",
        metavar="X",
        parser=partial(decimal, "--alpha"),
        help="global α of uvlp, 0 to 1, instead of searching for it",
    ),
]
SetOption = Annotated[
    Many,
    what_option(
        "--set",
        metavar="KEY=VALUE",
        autocompletion=completion.settings,
        help="change one setting, e.g. evaluate.epochs=100; see --print-config",
    ),
]
PortableOption = Annotated[
    bool,
    what_option("--portable", help="same bytes on every x86-64-v2 processor; runs on the CPU"),
]
StoreOption = Annotated[
    str | None,
    how_option(
        "--store",
        metavar="DIR",
        callback=path_option,
        help="folder of artifacts [$UVLP_STORE or ./uvlp_store]",
    ),
]
WorkersOption = Annotated[
    int | None,
    how_option(
        "--workers",
        metavar="N",
        parser=counted("--workers", 1, MOST_WORKERS),
        help=f"number of worker processes, up to {MOST_WORKERS}; results are the same",
    ),
]
LauncherOption = Annotated[
    str | None,
    how_option(
        "--launcher",
        metavar="NAME",
        help="where tasks are computed: local, slurm (`uvlp list launchers`); its settings: "
        "--set launcher.KEY=VALUE",
    ),
]
LauncherConfigOption = Annotated[
    str | None,
    how_option(
        "--launcher-config",
        metavar="FILE",
        callback=path_option,
        help="TOML file with settings of the launcher [~/.config/uvlp/launcher.toml]",
    ),
]
DetachOption = Annotated[
    bool, how_option("--detach", help="return when all jobs are submitted; the same command attaches again")
]
PerGpuOption = Annotated[
    int | None,
    how_option(
        "--per-gpu",
        metavar="N",
        parser=counted("--per-gpu", 1, MOST_WORKERS),
        help="evaluations that share a GPU [by its memory, up to 4]",
    ),
]
GpusPerFinetuneOption = Annotated[
    int | None,
    how_option(
        "--gpus-per-finetune",
        metavar="N",
        parser=counted("--gpus-per-finetune", 1, MOST_WORKERS),
        help="GPUs of one fine-tuning, so that several run at once [all, one after another]",
    ),
]
ReportOption = Annotated[
    str | None,
    how_option(
        "--report-to",
        metavar="NAME",
        help="report curves, pictures and the recipe to a tracker: tensorboard, wandb, trackio [none]",
    ),
]
OfflineOption = Annotated[
    bool, how_option("--offline", help="download nothing; report what is missing instead")
]
ForceOption = Annotated[bool, how_option("--force", help="rebuild damaged artifacts")]
RerunOption = Annotated[
    int | None,
    how_option(
        "--rerun",
        metavar="N",
        parser=counted("--rerun"),
        help="train repeat N again and compare it with the stored scores",
    ),
]
DryRunOption = Annotated[
    bool, how_option("--dry-run", help="list what would be computed and estimate the cost")
]
GpuOption = Annotated[
    str | None,
    how_option("--gpu", metavar="CARD", help="with --dry-run: estimate for a card: 24GB, h200, a100:8"),
]
PrintOption = Annotated[bool, output_option("--print-config", help="print the resolved recipe and exit")]
FormatOption = Annotated[
    str | None,
    output_option("--format", metavar="NAME", help="of --print-config: text or toml (for --config)"),
]
FullOption = Annotated[
    bool, output_option("--full", help="print intervals, differences, top-5 and all notes too")
]
JsonOption = Annotated[bool, output_option("--json", help="print the result as JSON")]
VerboseOption = Annotated[
    bool,
    output_option(
        "--verbose",
        "-v",
        callback=_prints(messages.VERBOSE),
        help="print the time of each line, tasks that begin, and their devices too",
    ),
]
QuietOption = Annotated[
    bool,
    output_option(
        "--quiet", "-q", callback=_prints(messages.QUIET), help="print the result and errors alone"
    ),
]
DebugOption = Annotated[bool, output_option("--debug", help="show the traceback of an error")]

VERBOSITY = ("verbose", "quiet", "debug")
"""Options of every command that runs something."""
Options = Mapping[str, Any]
"""The values of options by their names here, which are those of the fields of a request."""
OPTIONS: Mapping[str, tuple[Any, Any]] = {
    "config": (ConfigOption, None),
    "source": (FromOption, None),
    "methods": (MethodOption, None),
    "seeds": (SeedOption, None),
    "networks": (NetworkOption, None),
    "repeats": (RepeatsOption, None),
    "profile": (ProfileOption, None),
    "protocol": (ProtocolOption, None),
    "data": (DataOption, None),
    "variant": (VariantOption, None),
    "finetuned_model": (FinetunedOption, None),
    "alpha": (AlphaOption, None),
    "missing_captions": (MissingOption, None),
    "settings": (SetOption, None),
    "portable": (PortableOption, False),
    "store": (StoreOption, None),
    "workers": (WorkersOption, None),
    "per_gpu": (PerGpuOption, None),
    "gpus_per_finetune": (GpusPerFinetuneOption, None),
    "launcher": (LauncherOption, None),
    "launcher_config": (LauncherConfigOption, None),
    "detach": (DetachOption, False),
    "report_to": (ReportOption, None),
    "offline": (OfflineOption, False),
    "force": (ForceOption, False),
    "rerun": (RerunOption, None),
    "dry_run": (DryRunOption, False),
    "gpu": (GpuOption, None),
    "print_config": (PrintOption, False),
    "form": (FormatOption, None),
    "full": (FullOption, False),
    "as_json": (JsonOption, False),
    "verbose": (VerboseOption, False),
    "quiet": (QuietOption, False),
    "debug": (DebugOption, False),
}
"""Type and default of every option that several commands have, in the order of their help."""


def takes(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command options of `OPTIONS` behind its own.

    The command receives their values as one mapping, its parameter ``options``.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [
            each for each in signature(command, eval_str=True).parameters.values() if each.name != "options"
        ]
        shared = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in OPTIONS.items()
            if name in names
        ]

        @wraps(command)
        def called(**values: Any) -> None:
            command(**{each.name: values.pop(each.name) for each in own}, options=values)

        called.__signature__ = signature(command).replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
        called.__annotations__ = {}  # those of the command are no longer those of the signature
        return called

    return decorate
