"""Worker processes that compute artifacts, each on one thread, and on its own card if there are some.

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
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker, spawn
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from uvlp.core import machine, plugins
from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.core.files.os_errors import as_uvlp_error
from uvlp.core.nvidia import MASK, Card
from uvlp.core.progress import Event, Progress
from uvlp.core.scheduling import cards
from uvlp.core.scheduling.cards import Parallel
from uvlp.core.scheduling.rule import ANYWHERE, Layout, Needs, Start, next_start
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


Make = Callable[[Any, Progress, tuple[str, ...]], None]
"""Makes a job, with its progress and the cards that are reserved for it, as CUDA names them."""
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


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: Any = None
    cards: tuple[Card, ...] = ()


def _start(make: Make, card: Card | None = None) -> _Worker:
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    process = context.Process(target=_serve, args=(child_end, make), daemon=True)
    resource_tracker.ensure_running()  # starting it inside the block would unblock signals
    worker = _Worker(process, parent_end)
    try:
        with _signals_deferred(), _quiet_if_alone(), _only(card):
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
def _only(card: Card | None) -> Iterator[None]:
    """Let processes that are started inside the block see one card, from before they import torch."""
    before = os.environ.get(MASK)
    if card is not None:
        os.environ[MASK] = card.uuid
    try:
        yield
    finally:
        if card is not None:
            os.environ.pop(MASK)
            os.environ.update({} if before is None else {MASK: before})


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
    parallel: Parallel,
    environment: Mapping[str, str],
    view: View,
    needs: Callable[[Any], Needs] = lambda job: ANYWHERE,
) -> None:
    """Run every job after its inputs, on the workers and cards of ``parallel``.

    Args:
        jobs: in an order in which they could run one by one.
        make: a picklable function.
        parallel: number of processes, and their cards.
        environment: set in every worker before it imports anything.
        view: displays the progress.
        needs: returns what a job needs.

    Raises:
        UvlpError: as raised by a job, or its card was lost.
        Stopped: a worker received SIGINT or SIGTERM.
        WorkerFailed: a job raised any other exception, or its process died.
    """
    os.environ.update(environment)
    pool: list[_Worker] = []
    layout = parallel.layout
    layout = replace(layout, workers=layout.workers[: len(jobs)])
    try:
        for card in layout.workers:
            pool.append(_start(make, None if card is None else parallel.cards[card]))
        _Schedule(list(jobs), pool, parallel, layout, view, needs).run()
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


@dataclass
class _Schedule:
    """Jobs that wait and run; see `run`."""

    waiting: list[Any]
    pool: list[_Worker]
    parallel: Parallel
    layout: Layout
    view: View
    needs: Callable[[Any], Needs]
    running: dict[int, Start[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.unfinished = {job.key for job in self.waiting}

    def run(self) -> None:
        """Run all jobs."""
        while self.unfinished:
            while (start := next_start(self._ready(), self.running, self.layout)) is not None:
                self._hand_over(start)
            assert self.running, "none of the jobs that wait can ever start"
            for connection in wait([self.pool[number].connection for number in self.running]):
                number = next(each for each in self.running if self.pool[each].connection is connection)
                if _receive(self.pool[number], self.view):
                    self.unfinished.discard(self.running.pop(number).job.key)

    def _ready(self) -> Iterator[tuple[Any, Needs]]:
        """Yield the jobs whose inputs are finished."""
        return ((job, self.needs(job)) for job in self.waiting if not _waits(job, self.unfinished))

    def _hand_over(self, start: Start[Any]) -> None:
        worker, job = self.pool[start.worker], start.job
        self.waiting.remove(job)
        self.running[start.worker] = start
        worker.job, worker.cards = job, tuple(self.parallel.cards[card] for card in start.cards)
        self.view.begin(job.title)
        try:
            worker.connection.send((job, tuple(card.uuid for card in worker.cards)))
        except ConnectionError:
            raise _death(worker) from None


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
    title = worker.job.title
    error = process_death(f"the process making {title!r}", worker.process.exitcode or 0)
    return error if isinstance(error, Stopped) else cards.lost(worker.cards, title, str(error)) or error


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


def _receive(worker: _Worker, view: View) -> bool:
    """Handle a report; return whether the worker finished its job."""
    title = worker.job.title
    try:
        kind, content, details = worker.connection.recv()
    except (EOFError, ConnectionError):
        raise _death(worker) from None
    if kind == "event":
        assert isinstance(content, Event)
        view.event(title, content)
        return False
    worker.job = None  # so that `_stop` lets it exit by itself
    if kind == "done":
        view.end(title, content)
        return True
    error = content
    if not isinstance(content, UvlpError):
        error = cards.lost(worker.cards, title, str(content)) or content
    if isinstance(error, UvlpError):
        error.details = details
    raise error if kind == "failed" else AssertionError(details)
