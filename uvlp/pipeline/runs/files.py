"""The files of a run's journal below ``<store>/.runs/<name>/``.

`run.json` (`Header`) and `jobs.json` (`Job`s) are written at the start. `events.jsonl` grows by a line when a
job begins, ends or fails, so it is bounded by the number of jobs. `now.json` is replaced with the progress of
the running jobs. `<key>.log` has the messages and the traceback of a failed job. Only the process of the run
writes them.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uvlp.core.files.leases.host import Process
from uvlp.core.files.leases.lease import new_token

FOLDER = ".runs"
HEADER, JOBS, EVENTS, NOW = "run.json", "jobs.json", "events.jsonl", "now.json"
NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
"""Names of runs: date, time and milliseconds in UTC, so that they sort by age, and a random digit."""
What = Literal["begin", "device", "end", "failed", "twice", "finished", "stopped", "broken"]
"""Events of jobs, and the last three of the run: all jobs done, interrupted, or ended by an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is known when a run begins.

    Attributes:
        command, folder: command line and current folder, to repeat it.
        at_s: clock of its host, in seconds since 1970 (UTC).
        monotonic_s: monotonic clock of its host, in seconds.
        workers: number of worker processes.
        process: the main process.
    """

    command: str
    folder: str
    at_s: float
    monotonic_s: float
    workers: int
    process: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A task of a run, or a piece of one.

    Attributes:
        inputs: numbers of the jobs of the same run whose artifacts it uses.
        seconds: estimated time; 0 if unknown.
    """

    key: str
    stage: str
    title: str
    inputs: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """A line of `events.jsonl`.

    Attributes:
        t: seconds since the run began.
        what: see `What`.
        job: number of the job; -1 for the run.
        seconds: time of a job that ended or was done twice.
        text: name of the device, or the error.
    """

    t: float
    what: str
    job: int = -1
    seconds: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressing:
    """The last reports of a running job: ``done`` of ``total`` steps of ``label``, and its last message."""

    job: int
    label: str = ""
    done: int = 0
    total: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The progress of running jobs, at ``t`` seconds since the run began."""

    t: float
    running: tuple[Progressing, ...]


def log_name(job: Job) -> str:
    """Return the name of the log of a failed job."""
    return f"{job.key}.log"


def new_name() -> str:
    """Return a name for a run that begins now."""
    seconds, milliseconds = divmod(time.time_ns() // 10**6, 1000)
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(seconds))
    return f"{moment}-{milliseconds:03}{new_token()[0]}"


def names(root: Path) -> list[str]:
    """Return the names of the runs of the store ``root``, oldest first."""
    try:
        return sorted(path.name for path in (root / FOLDER).iterdir() if NAME.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
