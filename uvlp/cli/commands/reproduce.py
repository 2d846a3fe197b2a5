"""`uvlp reproduce`, the commands that stop earlier in the same chain, `uvlp ablate`, and `uvlp cancel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from uvlp.cli import completion
from uvlp.cli.options import VERBOSITY, DatasetArgument, IpcArgument, Options, argument, takes, what_option

COMMANDS = {
    "reproduce": ("tabulate", "Run the complete chain and print the table."),
    "caption": ("caption", "Stop after the captions."),
    "finetune": ("finetune", "Stop after the models."),
    "embed": ("embed", "Stop after the features."),
    "prototype": ("prototype", "Stop after the prototypes."),
    "synthesise": ("synthesise", "Stop after the distilled images."),
}
"""The last stage of each command, and its help."""
OF_THE_CHAIN = (
    *("config", "source"),
    *("seeds", "networks", "repeats", "profile", "protocol", "data", "variant", "finetuned_model", "alpha"),
    *("missing_captions", "settings", "portable", "store", "workers", "per_gpu", "gpus_per_finetune"),
    *("launcher", "launcher_config", "detach", "report_to", "offline", "force"),
    *("rerun", "dry_run", "gpu", "print_config", "form", "full", "as_json", *VERBOSITY),
)
"""Shared options of all these commands."""
AblatedArgument = Annotated[
    str | None,
    argument(
        metavar="METHOD",
        autocompletion=completion.methods,
        help="a method with variants: uvlp (`uvlp list methods`); one with some of them removes others too",
    ),
]
PairsOption = Annotated[bool, what_option("--pairs", help="also remove two parts at once")]


@takes("methods", *OF_THE_CHAIN)
def chain(
    context: typer.Context, options: Options, dataset: DatasetArgument = None, ipc: IpcArgument = None
) -> None:
    """Run the chain up to the last stage of the called command."""
    needed = {"dataset": "dataset", "ipc": "ipc"}
    _run(context, COMMANDS[str(context.info_name)][0], options, needed, dataset=dataset, ipc=ipc)


@takes(*OF_THE_CHAIN)
def ablate(
    context: typer.Context,
    options: Options,
    method: AblatedArgument = None,
    dataset: DatasetArgument = None,
    ipc: IpcArgument = None,
    pairs: PairsOption = False,
) -> None:
    """Remove the parts of a method one by one, and print what each is worth.

    Example: uvlp ablate uvlp digits 10
    """
    needed = {"ablated": "method", "dataset": "dataset", "ipc": "ipc"}
    _run(context, "tabulate", options, needed, ablated=method, pairs=pairs, dataset=dataset, ipc=ipc)


def _run(context: typer.Context, until: str, options: Options, needed: Mapping[str, str], **own: Any) -> None:
    """Run the chain up to a stage with the options of one of the commands."""
    from uvlp.cli import launching
    from uvlp.cli.request import execution_of, request_of
    from uvlp.cli.run import run
    from uvlp.pipeline.published import groups

    options, launcher = launching.of_options(options)
    request = request_of(context, options, until, needed, own)
    announced = any(name in groups.GROUPS for name in request.methods or ())
    run(request, until, execution_of(options, launcher=launcher, announced=announced))


RunArgument = Annotated[
    str,
    argument(metavar="RUN", help="name of a run, as printed at its start"),
]


@takes("store", "debug")
def cancel(run: RunArgument, options: Options) -> None:
    """End the jobs of a run on a cluster; finished artifacts are kept.

    Example: uvlp cancel 1c2f03a9
    """
    from uvlp.core import plugins
    from uvlp.core.display import messages
    from uvlp.core.errors import UvlpError
    from uvlp.declarations.launcher import declared_launcher
    from uvlp.pipeline.requests.resolve import store_at

    root = store_at(options["store"]).root
    unknown: UvlpError | None = None
    for name in plugins.names("launchers"):
        try:
            cancelling = declared_launcher(name).cancel
        except UvlpError as error:  # of another package, and broken
            messages.note(str(error))
            continue
        if cancelling is not None:
            try:
                print(f"jobs cancelled: {cancelling(root, run)}")
                return
            except UvlpError as error:  # it may be a run of another launcher
                unknown = error
    assert unknown is not None
    raise unknown
