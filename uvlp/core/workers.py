"""Worker processes that make artifacts, each on one thread.

Workers import the model libraries, each once, and then make one artifact after the other. A worker
that loses its main process (killed, say) stops at its next report.
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
from uvlp.core.files.os_errors import explained
from uvlp.core.progress import Event, Progress
from uvlp.core.views import View

PATIENCE_S = 5.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)
ASKED_TO_END = 128  # and the signal's number: the exit code of a worker that left in order, as in a shell
CONTINUES = "finished artifacts are kept, re-run the command to resume"


class Job(Protocol):
    """What a worker can be given: hashable by ``key``, with the keys that must be made before."""

    @property
    def key(self) -> str:
        """Unique name."""

    @property
    def title(self) -> str:
        """What the user reads."""

    @property
    def inputs(self) -> Mapping[str, Job]:
        """Jobs whose results this one reads."""


Make = Callable[[Any, Progress], None]
QUIET = """\
import pickle
try:
    {program}
except (EOFError, pickle.UnpicklingError):
    raise SystemExit(1) from None
"""
"""What a worker runs: without a traceback where the main process is killed before it has told it all."""


def _serve(connection: Connection, make: Make) -> None:
    """The loop of a worker: receive a job, make it, say how it went."""
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
    """An orderly exit, so that `finally` blocks and libraries clean up; a second signal must not cut it off.

    Ctrl-C reaches every process, and the main one then asks its workers to end.
    """
    for each in SIGNALS:
        # SIG_IGN would make Python complain of a signal that is on its way already.
        signal.signal(each, lambda *_: None)
    # Where Python happens to be in a finaliser, it would show the exit as an ignored error.
    sys.unraisablehook = lambda *_: None
    sys.exit(ASKED_TO_END + number)


def _portable(error: Exception) -> tuple[BaseException, str]:
    """The error in a form that another process can read, and its traceback."""
    details = "".join(traceback.format_exception(error)) + plugins.last_line(error)
    if isinstance(error, UvlpError):
        return error, details
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported for its name
        return machine.too_little_gpu_memory(
            "for this step", "run with --workers 1, or free the GPU"
        ), details
    refused = explained(error)
    if refused is not None:
        return refused, details
    return WorkerFailed(plugins.blamed(error), details), details


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: Any = None
    details: str = field(default="", repr=False)


def _start(make: Make) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make), daemon=True)
    resource_tracker.ensure_running()  # it would let signals through as soon as it has started
    worker = _Worker(process, ours)
    try:
        with _signals_held_back(), _quiet_if_alone():
            process.start()
    except BaseException:
        theirs.close()
        if process.pid is not None:
            _stop(worker)
        raise
    # With the child's end closed here, the child alone holds it and sees when we are gone.
    theirs.close()
    return worker


@contextlib.contextmanager
def _quiet_if_alone() -> Iterator[None]:
    """Processes that are started inside run `QUIET`: no code of ours runs until they know what they are."""
    usual = spawn.get_command_line

    def command_line(**values: Any) -> list[str]:
        command = usual(**values)
        at = command.index("-c") + 1
        return [*command[:at], QUIET.format(program=command[at]), *command[at + 1 :]]

    spawn.get_command_line = command_line
    try:
        yield
    finally:
        spawn.get_command_line = usual


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """A worker begins with signals blocked: it cannot leave in order before it has imported anything.

    Nor may this process leave before it has told the worker what it is: the worker would complain. The mask
    alone is not enough for that, because another thread may take the signal.
    """
    waiting: list[int] = []
    handlers = {each: signal.signal(each, lambda number, _: waiting.append(number)) for each in SIGNALS}
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        for each, handler in handlers.items():
            signal.signal(each, handler)
        if waiting:
            signal.raise_signal(waiting[0])


def run(
    jobs: Sequence[Any],
    make: Make,
    *,
    workers: int,
    environment: Mapping[str, str],
    view: View,
    alone: Callable[[Any], bool] = lambda job: False,
) -> None:
    """Make every job, those that others wait for first, on up to ``workers`` processes.

    Args:
        jobs: in an order in which they could be made one by one.
        make: a picklable function; called in the worker with the job and a `Progress`.
        workers: number of processes.
        environment: set in every worker before it imports anything.
        view: shows what happens.
        alone: whether a job must not be made while another one is, for which this holds too.

    Raises:
        UvlpError: as raised by a job.
        Stopped: somebody asked a worker to end.
        WorkerFailed: a job raised anything else, or its process died.
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
    """End a worker: an idle one ends by itself when its connection closes."""
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
    """Give an idle worker the first job that waits for no other."""
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
    """Whether anything that the job is made from is unfinished: its inputs, and theirs.

    An input may be finished while one of its own is made again, as where a damaged file is rebuilt; a table
    reads what those counted, too.
    """
    seen: set[str] = set()
    behind = list(job.inputs.values())
    while behind:
        needed = behind.pop()
        if needed.key in unfinished:
            return True
        if needed.key not in seen:
            seen.add(needed.key)
            behind.extend(needed.inputs.values())
    return False


def _death(worker: _Worker) -> Exception:
    worker.process.join()
    return death(f"the process making {worker.job.title!r}", worker.process.exitcode or 0)


def death(process: str, code: int, details: str = "") -> Exception:
    """The error for a process that ended in the middle of its work.

    Args:
        process: which, in words.
        code: its exit code; -N where the signal N ended it.
    """
    number = -code if code < 0 else code - ASKED_TO_END
    if number in SIGNALS:
        return Stopped(f"{process} was asked to end ({signal.Signals(number).name})", fix=CONTINUES)
    if code == -signal.SIGKILL:
        return WorkerFailed(f"{process} was killed (SIGKILL; out of memory?)", details)
    name = f"by {signal.Signals(number).name}" if code < 0 else f"with exit code {code}"
    return WorkerFailed(f"{process} was ended {name}", details)


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
        worker.job = None  # it waits for the next one, and ends when it sees that there is none
        if isinstance(content, UvlpError):
            content.details = details
        raise content if kind == "failed" else AssertionError(details)
