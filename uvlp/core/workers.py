"""Worker processes that compute artifacts, each on one thread.

Each worker imports the model libraries once and then computes one artifact after the other. A worker
whose main process was killed stops at its next report.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker, spawn
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from uvlp.core import machine, plugins
from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.core.files.os_errors import as_uvlp_error
from uvlp.core.progress import Event, Progress
from uvlp.core.views import View

PATIENCE_S = 5.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SIGNAL_EXIT = 128  # plus the signal's number: exit code of an orderly exit, as in a shell
RESUME = "finished artifacts are kept, re-run the command to resume"


class Job(Protocol):
    """A task for a worker, identified by ``key``; its inputs must be finished before it starts."""

    @property
    def key(self) -> str:
        """Unique key."""

    @property
    def title(self) -> str:
        """Name shown to the user."""

    @property
    def inputs(self) -> Mapping[str, Job]:
        """Jobs whose results this one uses."""


Make = Callable[[Any, Progress], None]
QUIET = """\
import pickle
try:
    {program}
except (EOFError, pickle.UnpicklingError):
    raise SystemExit(1) from None
"""
"""Program of a worker: no traceback if the main process is killed before it has sent all start-up data."""


def _serve(connection: Connection, make: Make) -> None:
    """Run the loop of a worker: receive a job, run it, report the outcome."""
    for each in SIGNALS:
        signal.signal(each, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    while True:
        try:
            job = connection.recv()
            began = time.monotonic()
            try:
                make(job, Progress(lambda event: connection.send(("event", event, None)), job.title))
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
            "for this step", "run with --workers 1, or free the GPU"
        ), details
    explained = as_uvlp_error(error)
    if explained is not None:
        return explained, details
    return WorkerFailed(plugins.describe_error(error), details), details


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: Any = None
    details: str = field(default="", repr=False)


def _start(make: Make) -> _Worker:
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    process = context.Process(target=_serve, args=(child_end, make), daemon=True)
    resource_tracker.ensure_running()  # starting it inside the block would unblock signals
    worker = _Worker(process, parent_end)
    try:
        with _signals_deferred(), _quiet_if_alone():
            process.start()
    except BaseException:
        child_end.close()
        if process.pid is not None:
            _stop(worker)
        raise
    # With its end closed here, the child sees end-of-file when this process exits.
    child_end.close()
    return worker


@contextlib.contextmanager
def _quiet_if_alone() -> Iterator[None]:
    """Make processes that are started inside the block run `QUIET`: UVLP's code is not loaded before that."""
    original = spawn.get_command_line

    def command_line(**values: Any) -> list[str]:
        command = original(**values)
        at = command.index("-c") + 1
        return [*command[:at], QUIET.format(program=command[at]), *command[at + 1 :]]

    spawn.get_command_line = command_line
    try:
        yield
    finally:
        spawn.get_command_line = original


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """Start a worker with signals blocked: it cannot exit in an orderly way before its imports.

    Nor may this process exit before it has sent the worker its start-up data, or the worker would print an
    error. The mask alone does not ensure that, because another thread may receive the signal.
    """
    pending: list[int] = []
    handlers = {each: signal.signal(each, lambda number, _: pending.append(number)) for each in SIGNALS}
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        for each, handler in handlers.items():
            signal.signal(each, handler)
        if pending:
            signal.raise_signal(pending[0])


def run(
    jobs: Sequence[Any],
    make: Make,
    *,
    workers: int,
    environment: Mapping[str, str],
    view: View,
    alone: Callable[[Any], bool] = lambda job: False,
) -> None:
    """Run every job after its inputs, on up to ``workers`` processes.

    Args:
        jobs: in an order in which they could run one by one.
        make: a picklable function, called in the worker with the job and a `Progress`.
        workers: number of processes.
        environment: set in every worker before it imports anything.
        view: displays the progress.
        alone: whether a job may not run beside another job for which this is true.

    Raises:
        UvlpError: as raised by a job.
        Stopped: a worker received SIGINT or SIGTERM.
        WorkerFailed: a job raised any other exception, or its process died.
    """
    os.environ.update(environment)
    pool: list[_Worker] = []
    try:
        for _ in range(min(workers, len(jobs))):
            pool.append(_start(make))
        _schedule(list(jobs), pool, view, alone)
    finally:
        view.close()
        for worker in pool:
            _stop(worker)


def _stop(worker: _Worker) -> None:
    """Stop a worker; an idle one exits by itself when its connection closes."""
    worker.connection.close()
    if worker.job is not None:
        worker.process.terminate()
    worker.process.join(timeout=PATIENCE_S)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def _schedule(waiting: list[Any], pool: list[_Worker], view: View, alone: Callable[[Any], bool]) -> None:
    unfinished = {job.key for job in waiting}
    while unfinished:
        for worker in pool:
            if worker.job is None:
                taken = any(other.job is not None and alone(other.job) for other in pool)
                startable = [job for job in waiting if not (taken and alone(job))]
                _hand_over(worker, startable, waiting, unfinished, view)
        for connection in wait([worker.connection for worker in pool if worker.job is not None]):
            worker = next(worker for worker in pool if worker.connection is connection)
            _receive(worker, unfinished, view)


def _hand_over(
    worker: _Worker, startable: list[Any], waiting: list[Any], unfinished: set[str], view: View
) -> None:
    """Give an idle worker the first job whose inputs are finished."""
    for job in startable:
        if not _waits(job, unfinished):
            waiting.remove(job)
            worker.job = job
            view.begin(job.title)
            try:
                worker.connection.send(job)
            except ConnectionError:
                raise _death(worker) from None
            return


def _waits(job: Any, unfinished: set[str]) -> bool:
    """Return whether anything that the job depends on, directly or indirectly, is unfinished.

    An input may be finished while one of its own inputs is rebuilt, e.g. after damage; a table also reads
    those.
    """
    seen: set[str] = set()
    queue = list(job.inputs.values())
    while queue:
        needed = queue.pop()
        if needed.key in unfinished:
            return True
        if needed.key not in seen:
            seen.add(needed.key)
            queue.extend(needed.inputs.values())
    return False


def _death(worker: _Worker) -> Exception:
    worker.process.join()
    return process_death(f"the process making {worker.job.title!r}", worker.process.exitcode or 0)


def process_death(process: str, code: int, details: str = "") -> Exception:
    """Return the error for a process that ended before it was finished.

    Args:
        process: description of the process.
        code: its exit code; -N if signal N ended it.
    """
    number = -code if code < 0 else code - SIGNAL_EXIT
    if number in SIGNALS:
        return Stopped(f"{process} was stopped by {signal.Signals(number).name}", fix=RESUME)
    if code == -signal.SIGKILL:
        return WorkerFailed(f"{process} was killed (SIGKILL; out of memory?)", details)
    cause = f"was ended by {signal.Signals(number).name}" if code < 0 else f"ended with exit code {code}"
    return WorkerFailed(f"{process} {cause}", details)


def _receive(worker: _Worker, unfinished: set[str], view: View) -> None:
    title = worker.job.title
    try:
        kind, content, details = worker.connection.recv()
    except (EOFError, ConnectionError):
        raise _death(worker) from None
    if kind == "event":
        assert isinstance(content, Event)
        view.event(title, content)
    elif kind == "done":
        unfinished.discard(worker.job.key)
        worker.job = None
        view.end(title, content)
    else:
        worker.job = None  # so that `_stop` lets it exit by itself
        if isinstance(content, UvlpError):
            content.details = details
        raise content if kind == "failed" else AssertionError(details)
