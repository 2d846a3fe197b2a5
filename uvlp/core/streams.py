"""Standard output and error that are closed, full or not UTF-8: no traceback, no result lost silently."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TextIO

from uvlp.core.display.width import columns, wrapped
from uvlp.core.errors import UvlpError

PIPE_CLOSED = 128 + signal.SIGPIPE
_receiver: ContextVar[Callable[[str], None] | None] = ContextVar("_receiver", default=None)


@contextlib.contextmanager
def notes_to(receive: Callable[[str], None]) -> Iterator[None]:
    """Hand lines over that this thread would print to standard error inside the block."""
    token = _receiver.set(receive)
    try:
        yield
    finally:
        _receiver.reset(token)


def prepare() -> None:
    """Open closed standard streams, and print ? for characters that an output cannot encode.

    Otherwise the next opened file would get the descriptor of a closed output and be printed into.
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
    """Refuse to run when standard output is closed.

    Raises:
        UvlpError: standard output is closed.
    """
    if sys.stdout is None:
        raise UvlpError("standard output is closed", fix="remove >&-; use >/dev/null to discard the result")


def print_error(text: str, indent: int | None = None, *, strict: bool = False) -> None:
    """Print to standard error; inside `notes_to`, hand it over instead.

    Args:
        text: a line, or several.
        indent: the line is wrapped to the width of the terminal, further lines with these spaces before them.
        strict: whether a failure raises its `OSError`, e.g. where the reader has exited; else it is ignored.
    """
    receive = _receiver.get()
    if receive is not None:
        receive(text)
        return
    if indent is not None:
        text = "\n".join(wrapped(text, columns(sys.stderr), indent))
    with contextlib.nullcontext() if strict else contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def output_closed() -> bool:
    """Return whether standard output or error is a pipe whose reader has exited, as `head` does."""
    return any(_is_abandoned(stream) for stream in (sys.stdout, sys.stderr))


def _is_abandoned(stream: TextIO | None) -> bool:
    try:
        number = stream.fileno() if stream is not None else -1
    except (OSError, ValueError):  # a stream without a descriptor
        return False
    poll = select.poll()
    poll.register(max(number, 0), 0)
    return number >= 0 and any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))


def discard_closed_output() -> int:
    """Discard further output to closed pipes and return the conventional exit code (128 + SIGPIPE)."""
    for stream in (sys.stdout, sys.stderr):
        if _is_abandoned(stream):
            _discard(stream)
    return PIPE_CLOSED


def finish(code: int) -> int:
    """Flush the standard streams and return the exit code.

    It is 2 if the result could not be written, and that of a closed pipe if the reader has exited.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = discard_closed_output()
    except OSError as error:
        print_error(f"uvlp: the result cannot be written to standard output: {error.strerror}")
        _discard(sys.stdout)
        code = 2
    try:
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)
    return code


def _discard(stream: TextIO) -> None:
    """Redirect a stream to /dev/null: Python's own flush at exit would change the exit code."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
