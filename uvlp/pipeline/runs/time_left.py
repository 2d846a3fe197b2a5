"""The time that a run still needs, from what its finished jobs took and from the estimates of the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from uvlp.pipeline.runs.files import Job
from uvlp.pipeline.runs.reading import JobState, Run

UNCOUNTED = ("collect", "tabulate")
"""Stages without an estimate, which take seconds."""
SETTLED_S = 60.0


def time_left_s(run: Run) -> float | None:
    """Return the seconds that are left; None if the time of a stage is unknown.

    A job takes the mean of the finished jobs of its stage, or its estimate corrected by these. A stage
    without finished jobs takes its estimate, corrected like the other stages. The workers share the work, but
    no chain of dependent jobs can be shortened.
    """
    expected = expectations(run.jobs)
    left: list[float] = []
    finish: list[float] = []
    for number, job in enumerate(run.jobs):
        whole = expected[number]
        if job.state == "done":
            own = 0.0
        elif whole is None:
            return None
        else:
            own = max(0.0, whole - job.seconds) if job.state == "running" else whole
        left.append(own)
        finish.append(own + max((finish[each] for each in job.job.inputs if each < number), default=0.0))
    return max(sum(left) / max(1, run.header.workers), max(finish, default=0.0))


def expectations(jobs: Sequence[JobState]) -> list[float | None]:
    """Return the expected time of every job in seconds; None if unknown."""
    measured: dict[str, list[JobState]] = defaultdict(list)
    for job in jobs:
        if job.state == "done":
            measured[job.job.stage].append(job)
    # The first job of a worker also imports libraries, which is all that is seen of a short one.
    long = [job for job in jobs if job.state == "done" and job.seconds >= SETTLED_S]
    overall = _ratio(long) or 1.0
    stages = {stage: _Stage(_ratio(done), _mean(done)) for stage, done in measured.items()}
    return [_expected(job.job, stages.get(job.job.stage, _Stage()), overall) for job in jobs]


class _Stage(NamedTuple):
    """What the finished jobs of a stage took, by their estimates and on average; None without any."""

    ratio: float | None = None
    mean_s: float | None = None


def _expected(job: Job, stage: _Stage, overall: float) -> float | None:
    if job.seconds and stage.ratio:
        return job.seconds * stage.ratio
    if stage.mean_s is not None:
        return stage.mean_s
    if job.seconds:
        return job.seconds * overall
    return 0.0 if job.stage in UNCOUNTED else None


def _mean(done: Sequence[JobState]) -> float:
    return sum(job.seconds for job in done) / len(done)


def _ratio(done: Sequence[JobState]) -> float | None:
    """Return measured by estimated time; None if nothing was estimated."""
    counted = [job for job in done if job.job.seconds]
    estimated = sum(job.job.seconds for job in counted)
    return sum(job.seconds for job in counted) / estimated if estimated else None
