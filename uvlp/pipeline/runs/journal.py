"""The journal of a run, written by its main process; `runs/reading.py` reads it."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from uvlp.core.display import messages
from uvlp.core.display.views import View
from uvlp.core.errors import UvlpError
from uvlp.core.files.leases.host import this_process
from uvlp.core.progress import Event
from uvlp.core.wording import cut, duration
from uvlp.declarations import launcher
from uvlp.pipeline.runs import files, reading
from uvlp.pipeline.runs.files import Header, Job, Now, Progressing
from uvlp.pipeline.runs.record import Record

NOW_EVERY_S = 1.0
MESSAGES = 50
"""Last messages of a job that are kept for its log."""
LONGEST_MESSAGE, LONGEST_LOG = 500, 100_000
KEPT, MOST = 100, 1000
"""Ended runs that are kept; and all, with those of other hosts that may or may not have ended."""


def command_line() -> str:
    """Return the command line of this process, or of the program that uses UVLP, to be repeated."""
    called = Path(sys.argv[0])
    if called.name == "uvlp" or called.parts[-2:] == ("uvlp", "__main__.py"):
        return shlex.join(["uvlp", *sys.argv[1:]])
    return shlex.join(sys.orig_argv)


class Journal:
    """A view that also records what happens.

    Args:
        record: the files.
        jobs: of the run.
        view: receives every report too.

    Attributes:
        twice_s: seconds of work that other processes had done first, one per artifact.
    """

    def __init__(self, record: Record, jobs: Sequence[Job], view: View) -> None:
        self.twice_s: list[float] = []
        self._record, self._jobs, self._view = record, jobs, view
        self._saved = 0.0
        self._running: dict[str, Progressing] = {}
        self._messages: dict[str, deque[str]] = {}
        self._numbers = {job.title: number for number, job in reversed(list(enumerate(jobs)))}

    def begin(self, title: str) -> None:
        """See `View`."""
        self._view.begin(title)
        self._running[title] = Progressing(job=self._numbers[title])
        self._messages[title] = deque(maxlen=MESSAGES)
        self._record.add("begin", self._numbers[title])

    def event(self, title: str, event: Event) -> None:
        """See `View`."""
        self._view.event(title, event)
        number = self._numbers[title]
        if event.device:
            self._record.add("device", number, text=event.device)
        if event.twice_s:
            self.twice_s.append(event.twice_s)
            self._record.add("twice", number, seconds=event.twice_s)
        if event.failure:
            self._fail(title, event.failure)
        before = self._running.get(title, Progressing(job=number))
        if event.message:
            message = cut(event.message, LONGEST_MESSAGE)
            self._messages.setdefault(title, deque(maxlen=MESSAGES)).append(message)
            self._running[title] = replace(before, message=message)
        elif event.total:
            now = replace(before, label=event.label, done=event.done, total=event.total)
            self._running[title] = now
        self._save()

    def end(self, title: str, seconds: float) -> None:
        """See `View`."""
        self._view.end(title, seconds)
        self._running.pop(title, None)
        self._messages.pop(title, None)
        self._record.add("end", self._numbers[title], seconds)

    def close(self) -> None:
        """See `View`."""
        self._view.close()

    def _fail(self, title: str, details: str) -> None:
        """Write the log of a failed job: its last messages and the traceback."""
        text = "".join(f"{line}\n" for line in self._messages.get(title, ()))
        number = self._numbers[title]
        self._record.replace_text(files.log_name(self._jobs[number]), text + cut(details, LONGEST_LOG))
        self._record.add("failed", number, text=_last_line(details))

    def _save(self) -> None:
        if time.monotonic() - self._saved < NOW_EVERY_S:
            return
        self._saved = time.monotonic()
        now = Now(t=self._record.elapsed_s, running=tuple(self._running.values()))
        self._record.replace(files.NOW, asdict(now))


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _jobs(tasks: Sequence[launcher.Job], seconds: Mapping[str, float]) -> list[Job]:
    numbers = {task.key: number for number, task in enumerate(tasks)}
    return [
        Job(
            key=task.key,
            stage=task.stage,
            title=task.title,
            inputs=tuple(numbers[each.key] for each in task.inputs.values() if each.key in numbers),
            seconds=round(seconds.get(task.key, 0.0), 3),
        )
        for task in tasks
    ]


@contextlib.contextmanager
def recorded(
    root: Path,
    tasks: Sequence[launcher.Job],
    workers: int,
    seconds: Mapping[str, float],
    command: str,
    view: View,
    run: str = "",
) -> Iterator[View]:
    """Yield a view that passes everything on to ``view``, and records the run in the block.

    Args:
        root: of a store that was prepared.
        tasks: of the run, or pieces of them.
        workers: number of worker processes.
        seconds: estimated time of tasks by key.
        command: command line that repeats it.
        view: displays the progress.
        run: name of the `Launch` on a cluster of which this process makes some tasks; see `launched`.
    """
    jobs = _jobs(tasks, seconds)
    folder = root / files.FOLDER / files.launched_name(run) / files.new_name()
    record = Record(folder, jobs, _header(command, workers))
    journal = Journal(record, jobs, view)
    if not run:
        prune(root)
    try:
        with record.finishing():
            yield journal
    finally:
        if journal.twice_s:
            count = f"{len(journal.twice_s)} artifact{'s' * (len(journal.twice_s) > 1)}"
            text = f"made twice: {count}, {duration(sum(journal.twice_s))} of work"
            messages.note(f"{text}; another process finished first")


def _header(command: str, workers: int) -> Header:
    return Header(
        command=command,
        folder=os.getcwd(),
        at_s=round(time.time(), 3),
        monotonic_s=time.monotonic(),
        workers=workers,
        process=this_process(),
    )


@contextlib.contextmanager
def launched(work: launcher.Launch, name: str, command: str) -> Iterator[None]:
    """Record a call that submits the jobs of a run on a cluster, or attaches to them.

    Args:
        work: what is made.
        name: of the launcher.
        command: command line that repeats it.
    """
    folder = work.root / files.FOLDER / files.launched_name(work.name)
    header = replace(_header(command, workers=0), launcher=name)
    jobs, since_s = _jobs(work.jobs, work.seconds), header.at_s
    if (folder / files.HEADER).is_file():
        try:
            since_s = reading.header(folder).since_s
            jobs = _merged(reading.read_jobs(folder), jobs)
        except UvlpError as error:  # the run needs no journal
            messages.note(f"{error.what}: {error.got}; `uvlp status` lacks earlier calls of this run")
    record = Record(folder, jobs, replace(header, since_s=since_s))
    prune(work.root)
    record.add("begin")
    with record.finishing():
        yield


def _merged(earlier: Sequence[Job], now: Sequence[Job]) -> list[Job]:
    """Return the jobs of an earlier call whose tasks are finished, and those of this call."""
    again = {job.key.partition(".")[0] for job in now}
    done = [replace(job, inputs=()) for job in earlier if job.key.partition(".")[0] not in again]
    return [*done, *(replace(job, inputs=tuple(len(done) + each for each in job.inputs)) for job in now)]


def prune(root: Path) -> None:
    """Delete the journals of old runs that have ended."""
    names = files.names(root)
    for name in names[:-KEPT]:
        if reading.outcome(root / files.FOLDER / name) is not None or name in names[:-MOST]:
            shutil.rmtree(root / files.FOLDER / name, ignore_errors=True)
