"""A run as text of a given width, and as JSON values: what is done, running, waiting and failed."""

from __future__ import annotations

import os
import shlex
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uvlp.core.files.lines import split_lines
from uvlp.core.wording import cut, duration, first_few
from uvlp.pipeline.runs.reading import JobState, Run
from uvlp.pipeline.runs.time_left import expectations, time_left_s

NARROWEST, WIDEST = 40, 120
SHOWN, LOG_LINES = 20, 5
INDENT = "  "
STATES = {
    "running": "running for {}",
    "finished": "finished in {}",
    "stopped": "interrupted after {}",
    "broken": "ended by an error after {}",
    "killed": "ended without finishing; last report after {} ({last})",
    "unknown": "elsewhere; it runs, or ended without finishing; last report after {} ({last})",
}
COUNTED = ("done", "running", "waiting", "failed", "stopped")


def lines(run: Run, width: int) -> Iterator[str]:
    """Yield the lines about a run; only commands and paths may be wider than ``width``."""
    width = min(max(width, NARROWEST), WIDEST)
    state = STATES[run.state].format(duration(run.elapsed_s), last=_moment(run, run.elapsed_s))
    left = f"; {_left(run)}" if run.state in ("running", "unknown") else ""
    where = run.header.launcher or run.header.process.host
    yield from _wrapped(f"run {run.name} on {where}: {state}{left}", width)
    yield from _command(run, width)
    counts = [f"{count} {each}" for each, count in _counts(run.jobs).items() if count or each != "stopped"]
    yield from _wrapped(f"{len(run.jobs)} tasks: {', '.join(counts)}", width)
    yield from _stages(run, width)
    if run.twice:
        other = "another process finished them first"
        yield from _wrapped(f"made twice: {run.twice} ({duration(run.twice_s)} of work); {other}", width)
    if run.error:
        yield from _wrapped(f"error: {run.error}", width)
    for state in ("running", "stopped", "failed"):
        yield from _jobs(run, state, width)
    waiting = [job.job.title for job in run.jobs if job.state == "waiting"]
    if waiting and run.state in ("running", "unknown"):
        yield from _wrapped(f"waiting: {first_few(waiting)}", width)
    if run.held_up:
        yield from _wrapped(f"jobs do not start, and the cluster says why: {'; '.join(run.held_up)}", width)


def listed(runs: Sequence[tuple[str, str, str]], width: int) -> Iterator[str]:
    """Yield a line for each run, given by name, state and command."""
    for name, state, command in runs:
        text = f"{name}  {state:<8}  "
        yield text.rstrip() if len(text) >= width else text + cut(command, max(4, width - len(text)))


def json_values(run: Run) -> dict[str, Any]:
    """Return everything about a run as JSON values."""
    jobs = [
        {
            "key": each.job.key,
            "title": each.job.title,
            "state": each.state,
            "seconds": round(each.seconds, 3),
            "expected_s": expected,
            "device": each.device,
            "host": each.host or run.header.process.host,
            "progress": asdict(each.now) if each.now else None,
            "error": each.error,
            "log": str(each.log) if each.log else None,
        }
        for each, expected in zip(run.jobs, expectations(run.jobs), strict=True)
    ]
    return {
        "run": run.name,
        "state": run.state,
        "host": run.header.process.host,
        "began": _moment(run, 0.0),
        "command": run.header.command,
        "folder": run.header.folder,
        "elapsed_s": round(run.elapsed_s, 3),
        "left_s": time_left_s(run) if run.state in ("running", "unknown") else None,
        "error": run.error,
        "held_up": run.held_up,
        "made_twice": run.twice,
        "made_twice_s": run.twice_s,
        "tasks": _counts(run.jobs),
        "stages": {stage: _counts(jobs) for stage, jobs in _by_stage(run).items()},
        "jobs": jobs,
    }


def _by_stage(run: Run) -> dict[str, list[JobState]]:
    stages: dict[str, list[JobState]] = {}
    for job in run.jobs:
        stages.setdefault(job.job.stage, []).append(job)
    return stages


def _counts(jobs: Sequence[JobState]) -> dict[str, int]:
    """The number of jobs in each state."""
    counted = Counter(job.state for job in jobs)
    return {state: counted[state] for state in COUNTED}


def _stages(run: Run, width: int) -> Iterator[str]:
    """A line for each of several stages of a run that has not finished."""
    stages = _by_stage(run)
    if run.state == "finished" or len(stages) < 2:
        return
    for stage, jobs in stages.items():
        counts = _counts(jobs)
        done = f"{INDENT}{stage}: {counts.pop('done')} of {len(jobs)} done"
        yield from _wrapped(", ".join([done, *(f"{n} {state}" for state, n in counts.items() if n)]), width)


def _moment(run: Run, after_s: float) -> str:
    """The time ``after_s`` seconds after the run began, by the clock of its host."""
    began_s = run.header.since_s or run.header.at_s
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(began_s + after_s))


def _left(run: Run) -> str:
    left_s = time_left_s(run)
    return "time left unknown" if left_s is None else f"about {duration(left_s)} left"


def _command(run: Run, width: int) -> Iterator[str]:
    """The command line, over several lines that a shell reads as one; after an end, what resumes it."""
    words = shlex.split(run.header.command)
    if run.state in ("stopped", "broken", "killed", "unknown"):
        yield from _wrapped("finished artifacts are kept; resume with", width)
        if run.header.folder != os.getcwd():
            yield f"{INDENT}cd {shlex.quote(run.header.folder)}"
    line = INDENT.rstrip("\n")
    for word in map(shlex.quote, words):
        if len(line) + len(word) + 3 > width and line.strip():
            yield f"{line} \\"
            line = INDENT * 2 + word
        else:
            line = f"{line} {word}" if line.strip() else line + word
    yield line


def _jobs(run: Run, state: str, width: int) -> Iterator[str]:
    """The jobs of one state, each with its time, device and last report."""
    numbers = [number for number, job in enumerate(run.jobs) if job.state == state]
    expected = expectations(run.jobs) if state == "running" else []
    for number in numbers[:SHOWN]:
        job = run.jobs[number]
        timed = _timed(job, expected[number] if expected else None)
        node = f"node {job.host}" if job.host else ""
        yield from _wrapped(", ".join(filter(None, (timed, job.device, node))), width)
        yield from _wrapped(INDENT + ": ".join(filter(None, (job.job.title, _report(job)))), width)
        if job.log is not None:
            yield f"{INDENT}log: {job.log}"
            yield from _end_of_log(job.log, width)
    if len(numbers) > SHOWN:
        yield f"and {len(numbers) - SHOWN} more {state}, see --json"


def _timed(job: JobState, expected_s: float | None) -> str:
    if job.state == "failed":
        return f"failed after {duration(job.seconds)}"
    if job.state == "stopped":
        return f"stopped after {duration(job.seconds)}"
    of = f" of about {duration(expected_s)}" if expected_s else ""
    return f"running, {duration(job.seconds)}{of}"


def _report(job: JobState) -> str:
    if job.error:
        return job.error
    if job.now is None:
        return ""
    label = job.now.label.removeprefix(job.job.title).strip(", ")
    steps = f"{label} {job.now.done}/{job.now.total}".strip() if job.now.total else ""
    return "; ".join(filter(None, (steps, job.now.message)))


def _end_of_log(path: Path, width: int) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        yield f"{INDENT * 2}cannot be read: {error.strerror}"
        return
    for line in split_lines(text)[-LOG_LINES:]:
        yield f"{INDENT * 2}{cut(line, width - len(INDENT * 2))}"


def _wrapped(text: str, width: int) -> list[str]:
    indent = INDENT if text.startswith(INDENT) else ""
    return textwrap.wrap(
        text.strip(),
        width,
        initial_indent=indent,
        subsequent_indent=indent + INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
