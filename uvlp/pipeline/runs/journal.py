"""The journal of a run, written by its main process; `runs/reading.py` reads it.

A journal that cannot be written does not stop the run: this is reported once.
"""

from __future__ import annotations

import contextlib
import json
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
from uvlp.core.errors import UvlpError, WorkerFailed
from uvlp.core.files.leases.host import this_process
from uvlp.core.files.writing import write_utf8
from uvlp.core.progress import Event
from uvlp.core.wording import cut, duration
from uvlp.declarations import launcher
from uvlp.pipeline.runs import files, reading
from uvlp.pipeline.runs.files import Happening, Header, Job, Now, Progressing, What

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
        folder: a new folder for the files; its parent exists.
        jobs: of the run.
        header: of the run.
        view: receives every report too.

    Attributes:
        twice_s: seconds of work that other processes had done first, one per artifact.
    """

    def __init__(self, folder: Path, jobs: Sequence[Job], header: Header, view: View) -> None:
        self.twice_s: list[float] = []
        self._folder, self._jobs, self._view = folder, jobs, view
        self._writable, self._began, self._saved = True, header.monotonic_s, 0.0
        self._running: dict[str, Progressing] = {}
        self._messages: dict[str, deque[str]] = {}
        self._numbers = {job.title: number for number, job in reversed(list(enumerate(jobs)))}
        self._write(files.HEADER, _json(asdict(header)))
        self._write(files.JOBS, _json([asdict(job) for job in jobs]))

    def begin(self, title: str) -> None:
        """See `View`."""
        self._view.begin(title)
        self._running[title] = Progressing(job=self._number(title))
        self._messages[title] = deque(maxlen=MESSAGES)
        self._add("begin", title)

    def event(self, title: str, event: Event) -> None:
        """See `View`."""
        self._view.event(title, event)
        if event.device:
            self._add("device", title, text=event.device)
        if event.twice_s:
            self.twice_s.append(event.twice_s)
            self._add("twice", title, seconds=event.twice_s)
        if event.failure:
            self._fail(title, event.failure)
        before = self._running.get(title, Progressing(job=self._number(title)))
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
        self._add("end", title, seconds=seconds)

    def close(self) -> None:
        """See `View`."""
        self._view.close()

    def finish(self, what: What, text: str = "") -> None:
        """Record how the run ended."""
        self._add(what, text=text)

    def _number(self, title: str) -> int:
        return self._numbers[title]

    def _fail(self, title: str, details: str) -> None:
        """Write the log of a failed job: its last messages and the traceback."""
        text = "".join(f"{line}\n" for line in self._messages.get(title, ()))
        name = files.log_name(self._jobs[self._number(title)])
        self._write(name, text + cut(details, LONGEST_LOG))
        self._add("failed", title, text=_last_line(details))

    def _add(self, what: What, title: str = "", seconds: float = 0.0, text: str = "") -> None:
        job = self._number(title) if title else -1
        t = round(time.monotonic() - self._began, 3)
        happening = Happening(t=t, what=what, job=job, seconds=round(seconds, 3), text=cut(text, 1000))
        values = {name: value for name, value in asdict(happening).items() if value or name in ("t", "job")}
        self._write(files.EVENTS, _json(values), append=True)

    def _save(self) -> None:
        if time.monotonic() - self._saved < NOW_EVERY_S:
            return
        self._saved = time.monotonic()
        now = Now(t=round(self._saved - self._began, 3), running=tuple(self._running.values()))
        self._write(files.NOW, _json(asdict(now)))

    def _write(self, name: str, text: str, *, append: bool = False) -> None:
        """Write a file, unless an earlier one could not be written; report the first error."""
        if not self._writable:
            return
        try:
            if append:
                with (self._folder / name).open("a", encoding="utf-8") as file:
                    file.write(text)
            else:
                write_utf8(self._folder / name, text, flushed=False)
        except OSError as error:
            self._writable = False
            text = f"the journal for `uvlp status` cannot be written: {error.strerror}: {self._folder}"
            messages.note(text)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


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
) -> Iterator[View]:
    """Yield a view that passes everything on to ``view``, and records the run in the block.

    Args:
        root: of a store that was prepared.
        tasks: of the run, or pieces of them.
        workers: number of worker processes.
        seconds: estimated time of tasks by key.
        command: command line that repeats it.
        view: displays the progress.
    """
    header = Header(
        command=command,
        folder=os.getcwd(),
        at_s=round(time.time(), 3),
        monotonic_s=time.monotonic(),
        workers=workers,
        process=this_process(),
    )
    journal = Journal(root / files.FOLDER / files.new_name(), _jobs(tasks, seconds), header, view)
    prune(root)
    try:
        yield journal
    except (UvlpError, WorkerFailed) as error:
        journal.finish("stopped" if getattr(error, "exit_code", 1) == 130 else "broken", str(error))
        raise
    except BaseException as error:
        journal.finish("stopped" if isinstance(error, KeyboardInterrupt) else "broken", repr(error))
        raise
    else:
        journal.finish("finished")
    finally:
        if journal.twice_s:
            count = f"{len(journal.twice_s)} artifact{'s' * (len(journal.twice_s) > 1)}"
            text = f"made twice: {count}, {duration(sum(journal.twice_s))} of work"
            messages.note(f"{text}; another process finished first")


def prune(root: Path) -> None:
    """Delete the journals of old runs that have ended."""
    names = files.names(root)
    for name in names[:-KEPT]:
        if reading.outcome(root / files.FOLDER / name) is not None or name in names[:-MOST]:
            shutil.rmtree(root / files.FOLDER / name, ignore_errors=True)
