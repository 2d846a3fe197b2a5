"""Worker processes that compute artifacts, each on one thread, and on its own card if there are some.

Each worker imports the model libraries once and then computes one artifact after the other. A worker
whose main process was killed stops at its next report.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import spawn
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.core.nvidia import MASK, Card
from uvlp.core.progress import Event, Progress
from uvlp.core.scheduling import cards, worker
from uvlp.core.scheduling.cards import Parallel
from uvlp.core.scheduling.rule import ANYWHERE, Layout, Needs, Start, next_start
from uvlp.core.scheduling.worker import SIGNAL_EXIT, SIGNALS
from uvlp.core.views import View

PATIENCE_S = 5.0
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


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    job: Any = None
    cards: tuple[Card, ...] = ()


def _start(make: Make, environment: Mapping[str, str], card: Card | None = None) -> _Worker:
    """Start a worker, which sees one card, from before it imports torch."""
    near, far = multiprocessing.Pipe()
    variables = {**os.environ, **environment, **({} if card is None else {MASK: card.uuid})}
    before, variables[worker.PATH] = os.environ.get(worker.PATH), worker.module_path()
    command = worker.command(os.fsdecode(spawn.get_executable()), far.fileno())
    try:
        with far, _signals_blocked():
            process = subprocess.Popen(command, env=variables, pass_fds=[far.fileno()])
    except BaseException:
        near.close()  # a worker that was started sees the end of its input
        raise
    started = _Worker(process, near)
    try:
        near.send((before, make))
    except BaseException as error:
        _stop(started)
        if isinstance(error, ConnectionError):
            raise process_death("a starting process", process.returncode) from None
        raise
    return started


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Start a worker with signals blocked: it cannot exit in an orderly way before its imports."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
    pool: list[_Worker] = []
    layout = parallel.layout
    layout = replace(layout, workers=layout.workers[: len(jobs)])
    try:
        for card in layout.workers:
            pool.append(_start(make, environment, None if card is None else parallel.cards[card]))
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
    try:
        worker.process.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()


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
    worker.process.wait()
    title = worker.job.title
    error = process_death(f"the process making {title!r}", worker.process.returncode)
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
