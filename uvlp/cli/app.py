"""Arguments in, exit code out: 0 done, 1 a stage failed, 2 the request or the input is wrong, 130 stopped.

A command's file declares its options and imports what it needs when it is called: the help needs none of it.
"""

from __future__ import annotations

import re
import sys
import traceback

import typer

from uvlp.cli import captions, doctor, evaluate, fetch, listing, reproduce, table, teacher
from uvlp.cli.options import Command
from uvlp.core import interrupts, plugins, streams
from uvlp.core.errors import UvlpError, WorkerFailed
from uvlp.core.files import os_errors, places

DEBUG_HINT = " (--debug shows the traceback)"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Reproduce and compare diffusion-based dataset distillation.",
)
for name, (_, text) in reproduce.COMMANDS.items():
    app.command(name, cls=Command, help=f"{text}\n\nExample: uvlp {name} digits 10")(reproduce.chain)
app.command("evaluate", cls=Command)(evaluate.evaluate)
app.command("teacher", cls=Command)(teacher.teacher)
app.command("fetch", cls=Command)(fetch.fetch)
app.command("list", cls=Command)(listing.list_names)
app.command("table", cls=Command)(table.table)
app.command("doctor", cls=Command)(doctor.doctor)
app.add_typer(captions.app, name="captions")


def _no_negative_numbers(arguments: list[str]) -> None:
    # The option parser would take -3 for an unknown option.
    for argument in arguments:
        if re.fullmatch(r"-[0-9.]+", argument):
            allowed = "IPC and repeats 1 or more, seeds 0 or more"
            raise UvlpError("a number is negative", got=argument, allowed=allowed)


def _no_unreadable_arguments(arguments: list[str]) -> None:
    # They end in files of UTF-8, sooner or later.
    for argument in arguments:
        if any("\ud800" <= sign <= "\udfff" for sign in argument):
            fix = "rename what it names"
            raise UvlpError("an argument is no UTF-8 text", got=argument, fix=fix)


def _call() -> int:
    streams.check_output()
    _no_unreadable_arguments(sys.argv[1:])
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
        hint = "" if debug or isinstance(error, UvlpError | typer.TyperException) else DEBUG_HINT
        asked = text.startswith("Usage:")  # no command at all: the text is the help
        streams.complain(text if asked else f"uvlp: {text}{hint}")
        if debug:
            streams.complain(getattr(error, "details", "") or "".join(traceback.format_exception(error)))
        return int(getattr(error, "exit_code", 1))
    except Exception as error:
        if isinstance(error, BrokenPipeError) and streams.nobody_reads():
            return streams.leave_quietly()
        refused = os_errors.explained(error)
        defect = f"a defect: {plugins.blamed(error)}{'' if debug else DEBUG_HINT}"
        streams.complain(f"uvlp: {refused or defect}")
        if debug:
            lines = traceback.format_exception(error)
            streams.complain("".join(lines) + plugins.last_line(error))
        return refused.exit_code if refused else 1
    if code == interrupts.STOPPED:
        interrupts.report()
    return code


def main() -> None:
    """The console script."""
    streams.prepare()
    places.forget_empty_variables()
    sys.exit(streams.finish(_guarded("--debug" in sys.argv)))
