"""Handling of Ctrl-C and `docker stop` in the main process: one line and exit code 130 at any time."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from uvlp.core import streams

STOPPED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = "\x1b[?25h"


def install_handlers() -> None:
    """Make SIGINT and SIGTERM raise `KeyboardInterrupt`, or exit if modules are being imported.

    Libraries swallow an interrupt of their imports or turn it into another error, and the run would
    continue half loaded. Nothing is lost: files are renamed into place only when they are complete.
    """
    for each in SIGNALS:
        signal.signal(each, _stop)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let signals that end the run wait until the block has ended."""
    waiting: list[int] = []
    before = {each: signal.getsignal(each) for each in (*SIGNALS, signal.SIGHUP)}
    for each in before:
        signal.signal(each, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in waiting[:1]:
            signal.raise_signal(number)


def ignore() -> None:
    """Ignore signals once the result is printed, so that no traceback appears while Python exits."""
    for each in SIGNALS:
        # SIG_IGN would make Python warn about a signal that is already pending.
        signal.signal(each, lambda *_: None)


def report() -> None:
    """Print that the run was interrupted."""
    text = "interrupted; finished artifacts are kept, re-run the command to resume"
    streams.print_error(f"uvlp: {text}", indent=2)


def _stop(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, _leave)  # a second signal skips the clean-up
    if _importing(frame):
        _leave()
    raise KeyboardInterrupt


def _leave(*_: object) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(SHOW_CURSOR)  # a progress bar hides it
    report()
    os._exit(STOPPED)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
