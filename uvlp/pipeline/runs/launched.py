"""A run on a cluster as one run: what its nodes recorded of its tasks, and what is known of its jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.core.errors import UvlpError
from uvlp.pipeline.runs import files, reading
from uvlp.pipeline.runs.reading import JobState, Run

if TYPE_CHECKING:
    from uvlp.declarations.launcher import Submitted

LIVE = ("running", "waiting")


def read(root: Path, name: str) -> Run:
    """Read a run of a store, on this machine or on a cluster.

    Raises:
        UvlpError: one of its files is damaged.
    """
    folder = root / files.FOLDER / name
    begun = reading.header(folder)
    if not begun.launcher:
        return reading.read(folder)
    starts = [reading.read(path.parent) for path in sorted(folder.glob(f"*/{files.HEADER}"))]
    jobs = _recorded([JobState(job=job) for job in reading.read_jobs(folder)], starts, begun.since_s)
    last = reading.last_event(folder)
    finished = last is not None and last.what == "finished"
    submitted = [] if finished else _submitted(root, name, begun.launcher)
    for job in jobs:
        if finished:  # what other runs made has no record here
            job.state = "done"
    _reported(jobs, submitted or ())
    attended = last is not None and last.what == "begin" and not begun.process.is_known_dead
    state = _state(jobs, submitted, attended and begun.process.is_here)
    for job in jobs:
        if job.state == "running" and state in ("broken", "stopped"):
            job.state = "stopped"
    ends = [each.header.at_s + each.elapsed_s for each in starts]
    ends += [begun.at_s + last.t] if last else []
    until_s = time.time() if state == "running" else max(ends, default=begun.at_s)
    errors = [last.text] if last is not None and last.what == "broken" else []
    errors += [job.error for job in jobs if job.state == "failed"]
    workers = sum(job.state == "running" for job in jobs)
    return Run(
        name=name,
        header=replace(begun, workers=workers),
        state=state,
        error=errors[0] if state == "broken" and errors else "",
        elapsed_s=max(0.0, until_s - begun.since_s),
        jobs=tuple(jobs),
        twice=sum(each.twice for each in starts),
        twice_s=sum(each.twice_s for each in starts),
        held_up=tuple(sorted({each.reason for each in submitted or () if each.reason})),
    )


def _recorded(jobs: list[JobState], starts: Sequence[Run], since_s: float) -> list[JobState]:
    """Return the jobs as the last process that began them recorded them."""
    numbers = {job.job.key: number for number, job in enumerate(jobs)}
    for each in starts:
        for job in each.jobs:
            number = numbers.get(job.job.key)
            if number is not None and job.state != "waiting":
                began_s = job.began_s + each.header.at_s - since_s
                host = each.header.process.host
                jobs[number] = replace(job, job=jobs[number].job, began_s=began_s, host=host)
    return jobs


def _submitted(root: Path, name: str, launcher: str) -> list[Submitted] | None:
    """Return the jobs of the cluster; None if nothing is known of them."""
    from uvlp.declarations.launcher import declared_launcher  # slow, and not needed for local runs

    try:
        ask = declared_launcher(launcher).submitted
    except UvlpError:  # it is not installed here
        return None
    return ask(root, name) if ask is not None else None


def _reported(jobs: Sequence[JobState], submitted: Sequence[Submitted]) -> None:
    """Set the state of jobs that have not ended to what is said of the jobs of the cluster they belong to."""
    of_key = {job.job.key: job for job in jobs}
    for each in submitted:
        left = [of_key[key] for key in each.tasks if key in of_key and of_key[key].state != "done"]
        if each.state == "failed" and left and not any(job.state == "failed" for job in left):
            left[0].state, left[0].error, left[0].log = "failed", each.error, each.log
        for job in left:
            if each.state in ("done", "waiting"):
                job.state = each.state
            elif each.state == "running" and job.state != "running":
                job.state = "waiting"
            elif each.state in ("failed", "stopped") and job.state == "running":
                job.state = "stopped"


def _state(jobs: Sequence[JobState], submitted: Sequence[Submitted] | None, attended: bool) -> str:
    if all(job.state == "done" for job in jobs):
        return "finished"
    if attended or any(each.state in LIVE for each in submitted or ()):
        return "running"
    if submitted is None or any(each.state == "unknown" for each in submitted):
        return "unknown"
    return "broken" if any(job.state == "failed" for job in jobs) else "stopped"
