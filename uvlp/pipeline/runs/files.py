"""The files of a run's journal below ``<store>/.runs/<name>/``.

`run.json` (`Header`) and `jobs.json` (`Job`s) are written at the start. `events.jsonl` grows by a line when a
job begins, ends or fails, so it is bounded by the number of jobs. `now.json` is replaced with the progress of
the running jobs. `<key>.log` has the messages and the traceback of a failed job. Only the process of the run
writes them.

A run on a cluster has the name that its launcher prints, the start of a key. The process that submits it
writes `run.json`, `jobs.json` and, for each of its calls, two lines of `events.jsonl`; every start of a
process on a node has a folder of its own inside, with the same files.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.leases.host import Process
from uvlp.core.files.leases.lease import new_token

FOLDER = ".runs"
HEADER, JOBS, EVENTS, NOW = "run.json", "jobs.json", "events.jsonl", "now.json"
NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
"""Names of runs: date, time and milliseconds in UTC, so that they sort by age, and a random digit."""
LAUNCHED = re.compile(r"[0-9a-f]{8}")
"""Names of runs on a cluster: see `launched_name`."""
What = Literal["begin", "device", "end", "failed", "twice", "finished", "stopped", "broken"]
"""Events of jobs, and the last three of the run: all jobs done, interrupted, or ended by an error. Without
a job, "begin" is a call that submits jobs to a cluster, or attaches to them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is known when a run begins.

    Attributes:
        command, folder: command line and current folder, to repeat it.
        at_s: clock of its host, in seconds since 1970 (UTC).
        monotonic_s: monotonic clock of its host, in seconds.
        workers: number of worker processes.
        process: the main process.
        launcher: of a run on a cluster; "" for one of worker processes.
        since_s: clock at the first call of a run on a cluster; 0 for others.
    """

    command: str
    folder: str
    at_s: float
    monotonic_s: float
    workers: int
    process: Process
    launcher: str = ""
    since_s: float = 0.0


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


def launched_name(launch: str) -> str:
    """Return the short name of a run on a cluster by the name of its `Launch`, a key."""
    return launch[:8]


def new_name() -> str:
    """Return a name for a run that begins now."""
    seconds, milliseconds = divmod(time.time_ns() // 10**6, 1000)
    return f"{_moment(seconds)}-{milliseconds:03}{new_token()[0]}"


def names(root: Path) -> list[str]:
    """Return the names of the runs of the store ``root``, oldest first."""
    try:
        found = [path.name for path in (root / FOLDER).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    ages = {name: name for name in found if NAME.fullmatch(name)}
    ages |= {name: _age(root / FOLDER / name) for name in found if LAUNCHED.fullmatch(name)}
    return sorted(ages, key=lambda name: (ages[name], name))


def _age(folder: Path) -> str:
    """Return the time of the last call of a run on a cluster, as in names of other runs."""
    try:
        return _moment(json_files.read(Header, folder / HEADER).at_s)
    except (UvlpError, OSError, OverflowError):
        return ""


def _moment(at_s: float) -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime(at_s))
