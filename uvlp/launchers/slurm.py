"""slurm: jobs of a Slurm cluster, submitted by submitit from a machine that has `sbatch`."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from uvlp.core.display import messages
from uvlp.core.errors import UvlpError
from uvlp.declarations.launcher import Launch, Submitted
from uvlp.launchers.jobs import limits, plan, progress, queue, record
from uvlp.launchers.jobs.attending import open_attendance
from uvlp.launchers.jobs.batches import Submission
from uvlp.launchers.jobs.settings import Settings

TITLE = "jobs of a Slurm cluster"
REMOTE = True
COMMANDS = ("sbatch", "squeue", "scancel", "srun")


def check(settings: Settings) -> None:
    """Refuse to plan a run where jobs cannot be submitted.

    Raises:
        UvlpError: a command of Slurm or submitit is missing.
    """
    if find_spec("submitit") is None:
        raise UvlpError("--launcher slurm needs submitit", fix="pip install 'uvlp[slurm]'")
    for command in COMMANDS:
        if shutil.which(command) is None:
            fix = "run uvlp on a login node of the cluster, outside the container (docs/cluster.md)"
            raise UvlpError(f"no {command} on the path", fix=fix)


def card(settings: Settings) -> str:
    """Return the card for time estimates; "" for this machine's processor."""
    return settings.card or ("h100" if settings.gpus else "")


def part_minutes(settings: Settings) -> int:
    """Return the least estimated time of a part of a task that several jobs share."""
    return max(1, settings.job_minutes)


def archives(settings: Settings) -> bool:
    """Return whether jobs read images from archives that they copy to their node's own disk."""
    return settings.stage


def launch(work: Launch, settings: Settings) -> None:
    """Attach to the jobs of the run that live, submit the rest, and wait for all.

    Raises:
        UvlpError: the cluster refuses a job, or one failed by a mistake of the user.
        Detached: the jobs go on, as requested.
    """
    limits.check_arguments(settings)
    limits.check_store(work.root)
    limits.check_time(work, settings)
    limits.check_nodes(work, settings)
    attendance = open_attendance(
        work, record.open_run(work.root, work.name), settings, 60.0 * settings.job_minutes
    )
    with attendance.leaving(), attendance.run.alone():
        attendance.attach()
        attendance.submit()
    run, count = work.name[:8], len(attendance.live)
    messages.note(f"run {run}: {count} job{'s' * (count != 1)}; `uvlp cancel {run}` cancels all")
    if work.detach:
        attendance.detach()
    attendance.wait()


def lines(work: Launch, settings: Settings) -> list[str]:
    """Return the jobs of a run, their time on several cards, and the arguments of `sbatch`."""
    limits.check_arguments(settings)
    limits.check_store(work.root)
    limits.check_time(work, settings)
    limits.check_nodes(work, settings)
    submission = Submission(
        work, record.open_run(work.root, work.name), settings, 60.0 * settings.job_minutes
    )
    return plan.lines(submission, settings)


def cancel(root: Path, name: str) -> int:
    """Cancel the jobs of a run; return the number of those that waited or ran.

    Raises:
        UvlpError: there is no such run, or the cluster does not answer.
    """
    return queue.cancel(job.id for job in record.find_run(root, name).jobs)


def submitted(root: Path, name: str) -> list[Submitted]:
    """Return the jobs of a run as their nodes and the cluster report them; none before the first call.

    Raises:
        UvlpError: a report is damaged.
    """
    if not any((root / record.FOLDER).glob(f"{name}*/{record.FILE}")):
        return []
    return progress.submitted(record.find_run(root, name))
