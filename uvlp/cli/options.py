"""The words that several commands share: options and arguments with their help."""

from __future__ import annotations

from typing import Annotated

import typer

from uvlp.core.files.places import refuse_empty

Many = list[str] | None


def path_option(option: typer.CallbackParam, value: str | None) -> str | None:
    """Refuse an empty path.

    Raises:
        UvlpError: the option was given, and is empty.
    """
    return refuse_empty(option.opts[0], value)


DatasetArgument = Annotated[
    str,
    typer.Argument(
        help="digits, imagenette, ... (`uvlp list datasets`), or folder:PATH with train/ and val/"
    ),
]
IpcArgument = Annotated[str, typer.Argument(help="images per class")]
MethodOption = Annotated[
    Many, typer.Option("--method", help="methods with variants, e.g. random,uvlp:no-outliers")
]
SeedOption = Annotated[Many, typer.Option("--seed", help="distillation seeds, e.g. 0,1,2")]
NetworkOption = Annotated[
    Many, typer.Option("--network", help="test networks with depth, e.g. convnet-3,resnet-18")
]
RepeatsOption = Annotated[str | None, typer.Option(help="trainings of each network per seed")]
ProfileOption = Annotated[
    str | None, typer.Option(help="model sizes and schedules: sd15, small, tiny, nano [the dataset's own]")
]
ProtocolOption = Annotated[str | None, typer.Option(help="evaluation protocol: minimax, rded")]
MissingOption = Annotated[
    str | None, typer.Option("--missing-captions", help="a missing caption: stop, or empty")
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data", callback=path_option, help="folder with the named dataset [$UVLP_DATA or ./uvlp_data]"
    ),
]
VariantOption = Annotated[
    str | None, typer.Option("--variant", help="which published version of the dataset, e.g. fastai, ilsvrc")
]
FinetunedOption = Annotated[
    str | None,
    typer.Option("--finetuned-model", help="folder of a fine-tuned pipeline, instead of fine-tuning here"),
]
AlphaOption = Annotated[
    float | None, typer.Option("--alpha", help="global α of uvlp, 0 to 1, instead of searching it")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="fetch nothing; say what is missing instead")]
SetOption = Annotated[
    Many, typer.Option("--set", help="change one setting, e.g. evaluate.epochs=100; see --print-config")
]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", callback=path_option, help="folder of artifacts [$UVLP_STORE or ./uvlp_store]"),
]
WorkersOption = Annotated[str | None, typer.Option(help="worker processes, up to 1024; changes no result")]
ForceOption = Annotated[bool, typer.Option("--force", help="rebuild damaged artifacts")]
RerunOption = Annotated[
    str | None,
    typer.Option("--rerun", help="train this repeat again and compare it with the stored one"),
]
PortableOption = Annotated[
    bool,
    typer.Option("--portable", help="on the CPU, with the instructions that every x86-64-v2 processor has"),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="show what would be made, make nothing")]
PrintOption = Annotated[bool, typer.Option("--print-config", help="print the resolved recipe and stop")]
JsonOption = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
DebugOption = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]
ScoredOnOption = Annotated[
    str,
    typer.Option(
        "--dataset", help="whose real test images score them: digits, imagenette, ..., or folder:PATH"
    ),
]
OwnIpcOption = Annotated[
    str | None, typer.Option("--ipc", help="images per class [all, where every class holds as many]")
]
SelectOption = Annotated[
    str, typer.Option("--select", help="which, where there are more: first (in string order), or drawn")
]
RandomOption = Annotated[
    bool, typer.Option("--random/--no-random", help="score as many random training images beside them")
]
