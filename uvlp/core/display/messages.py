"""Lines for the user on standard error, each with a kind; the log of a run has all of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from uvlp.core import streams

QUIET, USUAL, VERBOSE = range(3)
"""How much is printed: errors; what happens; also details, and the time of every line."""
KIND = 6
"""Columns of the kind."""
_printed: ContextVar[int] = ContextVar("_printed", default=USUAL)
_recorder: ContextVar[Callable[[str, str], None] | None] = ContextVar("_recorder", default=None)


def are_quiet() -> bool:
    """Return whether nothing but results and errors is printed."""
    return _printed.get() == QUIET


@contextlib.contextmanager
def printed(much: int) -> Iterator[None]:
    """Print as much as this inside the block: `QUIET`, `USUAL` or `VERBOSE`."""
    token = _printed.set(much)
    try:
        yield
    finally:
        _printed.reset(token)


@contextlib.contextmanager
def recorded_by(record: Callable[[str, str], None]) -> Iterator[None]:
    """Hand kind and text of every message inside the block to a function too, printed or not."""
    token = _recorder.set(record)
    try:
        yield
    finally:
        _recorder.reset(token)


def record(kind: str, text: str) -> None:
    """Add a line to the log without printing it."""
    recorder = _recorder.get()
    if recorder is not None:
        recorder(kind, text)


def report(kind: str, text: str, *, detail: bool = False, strict: bool = False) -> None:
    """Print a line as far as it is wanted, and add it to the log.

    Args:
        kind: a word of at most six letters, e.g. "done".
        text: one line.
        detail: whether it is printed only when details are wanted.
        strict: see `streams.print_error`.
    """
    record(kind, text)
    display(kind, text, detail=detail, strict=strict)


def display(kind: str, text: str, *, detail: bool = False, strict: bool = False) -> None:
    """Print a line as far as it is wanted; the log does not have it."""
    if _printed.get() < (VERBOSE if detail else USUAL):
        return
    moment = time.strftime("%H:%M:%S ") if _printed.get() == VERBOSE else ""
    streams.print_error(f"{moment}{kind:<{KIND}} {text}", indent=len(moment) + KIND + 1, strict=strict)


def note(text: str) -> None:
    """Report something that the user should know."""
    report("note", text)
