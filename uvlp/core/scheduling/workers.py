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
from dataclasses import dataclass, replace
from multiprocessing import spawn
from multiprocessing.connection import Connection, wait
from typing import Any

from uvlp.core.display.views import View
from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.core.nvidia import MASK, Card
from uvlp.core.progress import Event, Progress
from uvlp.core.scheduling import cards, worker
from uvlp.core.scheduling.cards import Parallel
from uvlp.core.scheduling.output import Output
from uvlp.core.scheduling.queue import Queue
from uvlp.core.scheduling.rule import ANYWHERE, Needs
from uvlp.core.scheduling.worker import SIGNAL_EXIT, SIGNALS

PATIENCE_S = 5.0
RESUME = "finished artifacts are kept, re-run the command to resume"


Make = Callable[[Any, Progress, tuple[str, ...]], None]
"""Makes a job, with its progress and the cards that are reserved for it, as CUDA names them."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    output: Output
    job: Any = None
    cards: tuple[Card, ...] = ()


def _start(make: Make, environment: Mapping[str, str], card: Card | None = None) -> _Worker:
    """Start a worker, which sees one card, from before it imports torch."""
    near, far = multiprocessing.Pipe()
    variables = {**os.environ, **environment, **({} if card is None else {MASK: card.uuid})}
    before, variables[worker.PATH] = os.environ.get(worker.PATH), worker.module_path()
    command = worker.command(os.fsdecode(spawn.get_executable()), far.fileno())
    reading, writing = os.pipe()
    try:
        with far, os.fdopen(writing, "wb") as errors, _signals_blocked():
            process = subprocess.Popen(command, env=variables, pass_fds=[far.fileno()], stderr=errors)
    except BaseException:
        near.close()  # a worker that was started sees the end of its input
        os.close(reading)
        raise
    started = _Worker(process, near, Output(reading))
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
        _work(Queue(jobs, needs, layout), pool, parallel.cards, view)
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
    worker.output.close()


def _work(queue: Queue, pool: Sequence[_Worker], cards: Sequence[Card], view: View) -> None:
    """Hand out jobs and handle reports until everything is finished."""
    while queue:
        while (start := queue.start()) is not None:
            idle = pool[start.worker]
            idle.job, idle.cards = start.job, tuple(cards[card] for card in start.cards)
            view.begin(start.job.title)
            try:
                idle.connection.send((start.job, tuple(card.uuid for card in idle.cards)))
            except ConnectionError:
                raise _death(idle) from None
        outputs = {each.output.pipe: each.output for each in pool if not each.output.ended}
        for ready in wait([*(pool[number].connection for number in queue.running), *outputs]):
            if isinstance(ready, int):
                outputs[ready].read()
                continue
            number = next(each for each in queue.running if pool[each].connection is ready)
            if _receive(pool[number], view):
                queue.finish(number)


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
