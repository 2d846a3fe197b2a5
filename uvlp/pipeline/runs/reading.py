"""Reading the journal of a run, also while it is written or after its process was killed."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.pipeline.runs import files
from uvlp.pipeline.runs.files import Happening, Header, Job, Now, Progressing

TAIL_BYTES = 4096
RUN_ENDS = ("finished", "stopped", "broken")


@dataclass(slots=True, kw_only=True)
class JobState:
    """A job and what happened to it.

    Attributes:
        state: "waiting", "running", "done", "failed", or "stopped" by the end of the run.
        began_s, seconds: when it began, in seconds since the run did, and how long it took or takes.
        device: name of the device; "" before it is known.
        host: the node, for a run on a cluster.
        error, log: of a failed job: the error, and the file with messages and traceback.
        now: last report of a running or stopped job.
    """

    job: Job
    state: str = "waiting"
    began_s: float = 0.0
    seconds: float = 0.0
    device: str = ""
    host: str = ""
    error: str = ""
    log: Path | None = None
    now: Progressing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run.

    Attributes:
        name: its folder below `.runs/`.
        state: "running", "finished", "stopped" by the user, "broken" by an error, "killed", or "unknown" if
            another host cannot be asked.
        error: why it is broken.
        elapsed_s: time since it began, until its end or its last report.
        held_up: why jobs do not start that wait for something else than their turn, in a cluster's words.
        twice: artifacts that another process finished first; twice_s: the time spent on them.
    """

    name: str
    header: Header
    state: str
    error: str
    elapsed_s: float
    jobs: tuple[JobState, ...]
    twice: int
    twice_s: float
    held_up: tuple[str, ...] = ()

    def count(self, state: str) -> int:
        """Return the number of jobs in a state."""
        return sum(job.state == state for job in self.jobs)


def find(root: Path, asked: str | None) -> str:
    """Return the name of a run by its beginning, the newest by default.

    Raises:
        UvlpError: there is no such run, or several.
    """
    names = files.names(root)
    if not names:
        fix = "start one with `uvlp reproduce`, or give its store with --store"
        raise UvlpError("no run is recorded in this store", got=str(root), fix=fix)
    matching = [name for name in names if asked is None or name.startswith(asked)]
    if asked is None or len(matching) == 1:
        return matching[-1]
    if matching:
        raise UvlpError("several runs begin like this", got=asked, allowed=", ".join(matching[-3:]))
    nearest = difflib.get_close_matches(asked, names, n=1, cutoff=0.0)
    raise UvlpError(
        "no such run", got=asked, allowed=f"{len(names)} runs", fix=f"did you mean {nearest[0]!r}?"
    )


def header(folder: Path) -> Header:
    """Read what was known when a run began.

    Raises:
        UvlpError: it is damaged, or the run ended before it was written.
    """
    try:
        return json_files.read(Header, folder / files.HEADER)
    except FileNotFoundError:
        raise UvlpError("a run without a record of how it began", got=str(folder)) from None


def outcome(folder: Path) -> str | None:
    """Return how a run ended; None if it lasts, or may last on another host."""
    last = last_event(folder)
    try:
        begun = header(folder)
    except UvlpError:
        return last.what if last and last.what in RUN_ENDS else "killed"
    if begun.launcher:  # its jobs may go on
        return "finished" if last and last.what == "finished" else None
    if last and last.what in RUN_ENDS:
        return last.what
    return "killed" if begun.process.is_known_dead else None


def last_event(folder: Path) -> Happening | None:
    """Return the last complete line of a journal."""
    found = _events(_tail(folder / files.EVENTS))
    return found[-1] if found else None


def read(folder: Path) -> Run:
    """Read the journal that one process writes.

    Raises:
        UvlpError: one of its files is damaged.
    """
    begun = header(folder)
    jobs = [JobState(job=job) for job in read_jobs(folder)]
    happened = _events(_content(folder / files.EVENTS))
    for each in happened:
        if 0 <= each.job < len(jobs):
            _apply(jobs[each.job], each, folder)
    now = _now(folder / files.NOW)
    last = happened[-1] if happened and happened[-1].what in RUN_ENDS else None
    process = begun.process
    state = last.what if last else "running" if process.is_here else "unknown"
    if last is None and process.is_known_dead:
        state = "killed"
    reports = [each.t for each in happened] + ([now.t] if now else [])
    elapsed_s = last.t if last else max(reports, default=0.0)
    if state == "running":
        elapsed_s = max(elapsed_s, time.monotonic() - begun.monotonic_s)
    _end(jobs, now, state, elapsed_s)
    twice = [each.seconds for each in happened if each.what == "twice"]
    return Run(
        name=folder.name,
        header=begun,
        state=state,
        error=last.text if last and last.what != "finished" else "",
        elapsed_s=elapsed_s,
        jobs=tuple(jobs),
        twice=len(twice),
        twice_s=sum(twice),
    )


def _apply(state: JobState, event: Happening, folder: Path) -> None:
    match event.what:
        case "begin":
            state.state, state.began_s = "running", event.t
        case "device":
            state.device = event.text
        case "end":
            state.state, state.seconds = "done", event.seconds
        case "failed":
            state.state, state.error, state.seconds = "failed", event.text, event.t - state.began_s
            state.log = folder / files.log_name(state.job)


def _end(jobs: Sequence[JobState], now: Now | None, state: str, elapsed_s: float) -> None:
    """Complete the state of jobs that were running at the last event."""
    reports = {each.job: each for each in now.running} if now else {}
    for number, job in enumerate(jobs):
        if job.state == "running":
            job.now, job.seconds = reports.get(number), max(0.0, elapsed_s - job.began_s)
            if state not in ("running", "unknown"):
                job.state = "stopped"


def read_jobs(folder: Path) -> list[Job]:
    """Read the jobs of a run.

    Raises:
        UvlpError: their file is damaged.
    """
    path = folder / files.JOBS
    values = _parsed(path)
    try:
        return [json_files.build(Job, value) for value in values]
    except (ValueError, TypeError) as error:
        raise json_files.damaged(path, ValueError(str(error))) from error


def _now(path: Path) -> Now | None:
    try:
        return json_files.build(Now, json_files.parse(_content(path)))
    except ValueError:
        return None  # not written yet


def _events(content: bytes) -> list[Happening]:
    """Return the complete lines; the last one may still be written, or was cut by a crash."""
    lines = list(filter(None, content.split(b"\n")))
    try:
        # One text is parsed in half of the time of its lines.
        values = json_files.parse(b"[" + b",".join(lines) + b"]")
        return [json_files.build(Happening, value) for value in values]
    except ValueError:
        return list(_complete(lines))


def _complete(lines: Iterable[bytes]) -> Iterator[Happening]:
    for line in lines:
        try:
            yield json_files.build(Happening, json_files.parse(line))
        except ValueError:
            continue


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return file.read()
    except FileNotFoundError:
        return b""


def _parsed(path: Path) -> Any:
    try:
        return json_files.parse(_content(path) or b"[]")
    except ValueError as error:
        raise json_files.damaged(path, error) from error
