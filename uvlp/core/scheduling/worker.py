"""A worker process, `python -m uvlp.core.scheduling.worker DESCRIPTOR`: it makes the jobs that it is sent.

It is started by its module, not by a copy of the script that asked for the work, so that a script needs no
guard and a notebook no file. Signals are blocked until its own handlers are installed.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from uvlp.core import machine, plugins
from uvlp.core.errors import UvlpError, WorkerFailed
from uvlp.core.files.os_errors import as_uvlp_error
from uvlp.core.progress import Progress

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SIGNAL_EXIT = 128  # plus the signal's number: exit code of an orderly exit, as in a shell
PATH = "PYTHONPATH"


def command(executable: str, descriptor: int) -> list[str]:
    """Return the command of a worker that reads from ``descriptor``."""
    return [executable, "-P", "-X", "utf8", "-m", __name__, str(descriptor)]


def module_path() -> str:
    """Return where this process finds modules, as the worker's ``PYTHONPATH``."""
    return os.pathsep.join(path or os.getcwd() for path in sys.path)


def main() -> None:
    """Receive the environment's own path and the function to call, then serve."""
    connection = Connection(int(sys.argv[1]))
    try:
        path, make = connection.recv()
    except (EOFError, ConnectionError, pickle.UnpicklingError):
        raise SystemExit(1) from None  # the main process was killed before it had sent everything
    os.environ.pop(PATH, None)
    os.environ.update({} if path is None else {PATH: path})
    serve(connection, make)


def serve(connection: Connection, make: Any) -> None:
    """Run the loop of a worker: receive a job, run it, report the outcome."""
    for each in SIGNALS:
        signal.signal(each, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    while True:
        try:
            job, reserved = connection.recv()
            began = time.monotonic()
            try:
                progress = Progress(lambda event: connection.send(("event", event, None)), job.title)
                make(job, progress, reserved)
                connection.send(("done", time.monotonic() - began, None))
            except Exception as error:
                connection.send(("failed", *_portable(error)))
        except (EOFError, ConnectionError):
            return


def _leave(number: int, _: object) -> None:
    """Exit in an orderly way, so that `finally` blocks and libraries clean up; ignore a second signal.

    Ctrl-C reaches every process, and the main process then terminates its workers.
    """
    for each in SIGNALS:
        # SIG_IGN would make Python warn about a signal that is already pending.
        signal.signal(each, lambda *_: None)
    # Inside a finaliser, Python would report the exit as an ignored exception.
    sys.unraisablehook = lambda *_: None
    sys.exit(SIGNAL_EXIT + number)


def _portable(error: Exception) -> tuple[BaseException, str]:
    """Return the error in a form that another process can unpickle, and its traceback."""
    details = "".join(traceback.format_exception(error)) + plugins.plugin_line(error)
    if isinstance(error, UvlpError):
        return error, details
    if type(error).__name__ == "OutOfMemoryError":  # torch's; compared by name so as not to import torch
        return machine.too_little_gpu_memory(
            "for this step", "run with --per-gpu 1, or free the GPU"
        ), details
    explained = as_uvlp_error(error)
    if explained is not None:
        return explained, details
    return WorkerFailed(plugins.describe_error(error), details), details


if __name__ == "__main__":
    main()
