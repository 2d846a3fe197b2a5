"""Standard output and error that are closed, full or narrow: no traceback, and no result lost unsaid."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
from typing import TextIO

from uvlp.core.errors import UvlpError

NOBODY_READS = 128 + signal.SIGPIPE


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
        raise UvlpError("standard output is closed", fix="leave out >&-; >/dev/null throws the result away")


def complain(text: str) -> None:
    """Print a line to standard error, if that is possible."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def nobody_reads() -> bool:
    """Whether standard output or error is a pipe whose reader has ended, as `head` does after its lines."""
    return any(_is_abandoned(stream) for stream in (sys.stdout, sys.stderr))


def _is_abandoned(stream: TextIO | None) -> bool:
    try:
        number = stream.fileno() if stream is not None else -1
    except (OSError, ValueError):  # a stream of a test's
        return False
    poll = select.poll()
    poll.register(max(number, 0), 0)
    return number >= 0 and any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))


def leave_quietly() -> int:
    """The exit code where nobody reads any more, that of other tools; nothing more is written."""
    for stream in (sys.stdout, sys.stderr):
        if _is_abandoned(stream):
            _give_up(stream)
    return NOBODY_READS


def finish(code: int) -> int:
    """Write what is still held back; the exit code.

    It is 2 where the result could not be written, and that of a closed pipe where nobody reads it.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = leave_quietly()
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
