"""The command line. Exit codes: 0 done, 1 a stage failed, 2 wrong request or input, 130 interrupted.

The file of a command declares its options and imports what it needs only when the command runs.
"""

from __future__ import annotations

import copy
import re
import sys
import traceback
from typing import Annotated

import typer

from uvlp import __version__
from uvlp.cli import bash_words
from uvlp.cli.command import Command, Group
from uvlp.cli.commands import (
    baseline,
    captions,
    evaluate,
    explain,
    export,
    fetch,
    figure,
    listing,
    patched,
    report,
    reproduce,
    robust,
    status,
    table,
    teacher,
    verify,
)
from uvlp.cli.findings import doctor
from uvlp.cli.printing import usage
from uvlp.core import interrupts, plugins, streams
from uvlp.core.display import messages
from uvlp.core.display.log import Log, kept
from uvlp.core.errors import UvlpError, WorkerFailed
from uvlp.core.files import os_errors, paths

DEBUG_HINT = " (--debug shows the traceback)"

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Reproduce and compare diffusion-based dataset distillation.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"uvlp {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
]


@app.callback()
def _options(version: VersionOption = False) -> None:
    """Reproduce and compare diffusion-based dataset distillation."""


for name, (_, text) in reproduce.COMMANDS.items():
    app.command(name, cls=Command, help=f"{text}\n\nExample: uvlp {name} digits 10")(reproduce.chain)
app.command("ablate", cls=Command)(reproduce.ablate)
app.command("cancel", cls=Command)(reproduce.cancel)
app.command("robust", cls=Command)(robust.robust)
app.command("evaluate", cls=Command)(evaluate.evaluate)
app.command("teacher", cls=Command)(teacher.teacher)
app.command("fetch", cls=Command)(fetch.fetch)
app.command("list", cls=Command)(listing.list_names)
app.command("status", cls=Command)(status.status)
app.command("table", cls=Command)(table.table)
app.command("report", cls=Command)(report.report)
app.command("figure", cls=Command)(figure.figure)
app.command("explain", cls=Command)(explain.explain)
app.command("export", cls=Command)(export.export)
app.command("verify", cls=Command)(verify.verify)
app.command("doctor", cls=Command)(doctor.doctor)
app.command("patched", cls=Command, context_settings={"allow_interspersed_args": False})(patched.patched)
app.add_typer(baseline.app, name="baseline")
app.add_typer(captions.app, name="captions")


def _no_negative_numbers(arguments: list[str]) -> None:
    # The option parser would read -3 as an unknown option.
    for argument in arguments:
        if re.fullmatch(r"-[0-9.]+", argument):
            allowed = "IPC and repeats 1 or more, seeds 0 or more"
            raise UvlpError("a number is negative", got=argument, allowed=allowed)


def _no_unreadable_arguments(arguments: list[str]) -> None:
    # Arguments are stored in UTF-8 files.
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            fix = "rename the file or folder"
            raise UvlpError("an argument is not UTF-8", got=argument, fix=fix)


def _call() -> int:
    streams.check_output()
    _no_unreadable_arguments(sys.argv[1:])
    paths.check_endpoint()
    if sys.argv[1:2] != ["patched"]:  # the rest belongs to another program
        _no_negative_numbers(sys.argv[1:])
    return _called(sys.argv[1:2])(standalone_mode=False) or 0


def _called(command: list[str]) -> typer.Typer:
    """Return the application with only the command that is called: to build all of them takes longer."""
    chosen = [each for each in app.registered_commands if [each.name] == command]
    if not chosen:
        return app
    alone = copy.copy(app)
    alone.registered_commands, alone.registered_groups = chosen, []
    return alone


def _guarded(log: Log, debug: bool) -> int:
    """Run the command line, turning every error into one line and an exit code."""
    try:
        code = _call()
    except KeyboardInterrupt:
        code = interrupts.STOPPED
    except SystemExit as end:  # click exits this way when a pipe is closed
        if not (isinstance(end.__context__, BrokenPipeError) and streams.output_closed()):
            raise
        return streams.discard_closed_output()
    except Exception as error:
        if isinstance(error, BrokenPipeError) and streams.output_closed():
            return streams.discard_closed_output()
        return _fail(error, log, debug)
    if code == interrupts.STOPPED:
        messages.record("error", "interrupted")
        interrupts.report()
    return code


def _fail(error: Exception, log: Log, debug: bool) -> int:
    """Print one line about an error, and where the log of the run is; return the exit code."""
    explained = os_errors.as_uvlp_error(error)
    own = isinstance(error, UvlpError | typer.TyperException | WorkerFailed)
    hint = "" if debug else DEBUG_HINT
    if isinstance(error, typer.TyperException):
        text = error.format_message()
        if not text.startswith("Usage:"):  # without a command, the text is the help
            text = f"uvlp: {usage.as_uvlp_error(error)}"
    elif own:
        text = f"uvlp: {error}{'' if isinstance(error, UvlpError) else hint}"
    else:
        text = f"uvlp: {explained or f'unexpected error: {plugins.describe_error(error)}{hint}'}"
    details = getattr(error, "details", "") or "".join(traceback.format_exception(error))
    if not own:
        details += plugins.plugin_line(error)
    messages.record("error", text)
    messages.record("error", details)
    code = int(getattr(error if own else explained, "exit_code", 1))
    streams.print_error(text, indent=2)
    if log.path is not None and code not in (0, interrupts.STOPPED):
        streams.print_error(f"log: {log.path}", indent=2)
    if debug:
        streams.print_error(details)
    return code


def main() -> None:
    """Run the command line; entry point of the console script."""
    streams.prepare()
    paths.forget_empty_variables()
    # The block ends what an option asked to print.
    with messages.printed(messages.USUAL), kept() as log, bash_words.joined():
        code = _guarded(log, "--debug" in sys.argv)
    sys.exit(streams.finish(code))
