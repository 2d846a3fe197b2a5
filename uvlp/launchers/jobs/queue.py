"""The state of jobs: one `squeue` for all of them, and `sacct` for those that it no longer lists."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from typing import NamedTuple

from uvlp.core.errors import UvlpError
from uvlp.core.files.lines import split_lines

LONGEST_S = 60.0
MOST_ARGUMENTS = 500
TITLE = "uvlp"
"""Start of the name of every job."""
GONE = "not in the queue"
PENDING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
RUNNING = (
    *("RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT", "SUSPENDED", "STOPPED", "SIGNALING"),
    "RESIZING",
)
REQUEUED = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")
"""Such a job is queued again by the cluster, if that is not forbidden; it shows this state for a moment."""


USUAL = ("", "None", "Priority", "Resources", "Dependency", "BeginTime", "Cleaning", "JobArrayTaskLimit")
"""Reasons for which jobs merely wait for their turn; others, such as `PartitionDown`, may last forever."""
LINE = re.compile(r"[0-9]+([_+][0-9]+)?\|[A-Z_]+\|.*\|")
"""Of what is asked of `squeue`."""


class NoAnswer(UvlpError):
    """A command of the cluster fails, is missing, or prints something else than an answer; in its words."""


class State(NamedTuple):
    """State of a job in the cluster's words, with its name and the reason for waiting."""

    state: str
    name: str = ""
    reason: str = ""

    @property
    def live(self) -> bool:
        """Whether it waits or runs, or will again."""
        return self.state in PENDING or self.state in RUNNING or self.state in REQUEUED

    @property
    def is_held_up(self) -> bool:
        """Whether it waits for something else than its turn, such as a partition that is down."""
        return self.state in PENDING and self.reason not in USUAL


def runs(state: State | None) -> bool:
    """Return whether a job in this state has begun and not ended."""
    return state is not None and state.state in RUNNING


def states() -> dict[str, State]:
    """Return the user's jobs by number, array elements one by one.

    Raises:
        NoAnswer: the cluster does not answer.
    """
    command = ["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%T|%j|%r"]
    printed = _answer(command)
    lines = [line.strip() for line in split_lines(printed) if line.strip()]
    rows = [line.split("|", 3) for line in lines if LINE.match(line)]
    # Of an empty queue nothing is printed: other text is no answer, and does not mean that jobs have ended.
    if lines and not rows:
        raise _no_answer(command[0], printed)
    return {row[0]: State(*row[1:]) for row in rows}


def past(jobs: Iterable[str]) -> dict[str, str]:
    """Return the states of former jobs from the accounting; those that it lacks are left out."""
    numbers = sorted(jobs)
    if not numbers:
        return {}
    command = ["sacct", "-X", "-n", "-o", "JobID,State", "--parsable2", *(f"-j{job}" for job in numbers)]
    rows = [line.split("|") for line in split_lines(_output(command))]
    known = [row for row in rows if len(row) > 1 and row[1].strip() and row[0] in numbers]
    # Of a cancelled job it says by whom: CANCELLED by 1000.
    return {row[0]: row[1].split()[0] for row in known}


def largest_array() -> int:
    """Return how many elements an array may have; 1 if the cluster does not say."""
    for line in split_lines(_output(["scontrol", "show", "config"])):
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize" and value.strip().isdecimal():
            return max(1, int(value) - 1)
    return 1


def _answer(command: list[str]) -> str:
    """Return what a command of the cluster prints.

    Raises:
        NoAnswer: it fails, is missing or does not answer.
    """
    try:
        done = subprocess.run(command, capture_output=True, timeout=LONGEST_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise _no_answer(command[0], str(error)) from error
    if done.returncode != 0:
        raise _no_answer(command[0], (done.stderr or done.stdout).decode(errors="replace"))
    return done.stdout.decode(errors="replace")


def _no_answer(command: str, printed: str) -> NoAnswer:
    fix = "it needs a machine that may submit jobs, and a running slurmctld and munge; then re-run uvlp"
    return NoAnswer(f"the cluster does not answer {command}", got=" ".join(printed.split()) or None, fix=fix)


def _output(command: list[str]) -> str:
    """Return what a command of the cluster prints; nothing if it does not answer."""
    try:
        return _answer(command)
    except NoAnswer:
        return ""


def cancel(jobs: Iterable[str]) -> int:
    """Cancel those of ``jobs`` that wait or run; return their number.

    Only jobs with a name of UVLP: a number may have been given to another job since, and others may write to
    the file with the numbers.

    Raises:
        NoAnswer: the cluster does not answer.
    """
    listed = states()
    wanted = set(jobs)
    numbers = sorted(
        job
        for job, state in listed.items()
        if job in wanted and state.live and state.name.startswith(f"{TITLE}-")
    )
    for start in range(0, len(numbers), MOST_ARGUMENTS):
        _answer(["scancel", *numbers[start : start + MOST_ARGUMENTS]])
    return len(numbers)
