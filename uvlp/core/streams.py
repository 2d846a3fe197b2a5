"""Standard output and error that are closed, full or narrow: no traceback, and no result lost unsaid."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TextIO

from uvlp.core.errors import UvlpError


def prepare() -> None:
    """Open what is closed, and show a ? for ± and the like where an output has no such sign.

    The next file that is opened would take the number of a closed output, and be printed into.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    if sys.stderr is None:  # print(file=None) would go to standard output
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def check_output() -> None:
    """Refuse to work for nobody.

    Raises:
        UvlpError: standard output is closed.
    """
    if sys.stdout is None:
        raise UvlpError("standard output is closed", do="leave out >&-; >/dev/null throws the result away")


def complain(text: str) -> None:
    """Print a line to standard error, if that is possible."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def finish(code: int) -> int:
    """Write what is still held back; the exit code, which is 2 where the result could not be written."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        complain(f"uvlp: the result cannot be written to standard output: {error.strerror}")
        _give_up(sys.stdout)
        code = 2
    try:
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)
    return code


def _give_up(stream: TextIO) -> None:
    """Let Python's own attempt at its end, which would change the exit code, go nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
