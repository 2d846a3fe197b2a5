"""Ctrl-C, or `docker stop`, in the main process: one line and exit code 130, whenever it comes."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from uvlp.core import streams

STOPPED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = "\x1b[?25h"


def listen() -> None:
    """From now on a signal raises `KeyboardInterrupt`, or ends this process if modules are being imported.

    Libraries swallow an interrupt of their imports, or turn it into an error of another name, and the run
    would go on half loaded. Nothing is lost: whatever is written is renamed into place when it is whole.
    """
    for each in SIGNALS:
        signal.signal(each, _stop)


def ignore() -> None:
    """The result is out: a signal must not show a traceback while Python ends."""
    for each in SIGNALS:
        # SIG_IGN would make Python complain of a signal that is on its way already.
        signal.signal(each, lambda *_: None)


def report() -> None:
    """Print that the run was stopped."""
    streams.complain("uvlp: stopped; finished artifacts are kept, re-run the command to resume")


def _stop(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, _leave)  # whoever asks a second time does not want to wait for the clean-up
    if _importing(frame):
        _leave()
    raise KeyboardInterrupt


def _leave(*_: object) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(SHOW_CURSOR)  # a bar hides it
    report()
    os._exit(STOPPED)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
