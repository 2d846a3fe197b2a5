"""Checks of settings and of the time limit, before jobs are submitted."""

from __future__ import annotations

import math
import re
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.declarations.launcher import Launch
from uvlp.launchers.jobs.settings import Settings

RESUMED = (
    "caption",
    "embed",
    "encode",
    "finetune",
    "optimise",
    "pixels",
    "represent",
    "sample",
    "synthesise",
    "teacher",
)
"""Stages that keep finished parts or a checkpoint when they are stopped; others start again."""
CHECKPOINT_S = 300.0
"""Time that a stage needs to load its models and reach its first checkpoint, rounded up."""
START_S = 60.0
"""Time to start a job's processes."""
NAME = re.compile(r"[a-z][a-z0-9-]+")
OWN_ARGUMENTS = {
    "job-name": "it names the run and the stage",
    "dependency": "jobs wait for those that they need",
    "array": "equal jobs are an array",
    "output": "logs lie in the store",
    "error": "logs lie in the store",
    "signal": "use launcher.warning_s",
    "time": "use launcher.time_minutes",
    "mem": "use launcher.memory_gb",
    "nodes": "use launcher.node_gpus",
    "ntasks": "one process of UVLP starts on each node",
    "ntasks-per-node": "one process of UVLP starts on each node",
    "requeue": "a job that was preempted is queued again",
    "no-requeue": "a job that was preempted is queued again",
    "kill-on-invalid-dep": "jobs that need a failed one end with it",
    "clusters": "the queue of another cluster is not looked into",
    "parsable": "the number of a job is read from what sbatch prints",
    "test-only": "use --dry-run",
    "wait": "the command itself waits for all jobs; use --detach",
    "wrap": "UVLP writes the job script",
}
NO_LOG = re.compile(r"[%\\\n]")
"""In the names of logs Slurm replaces `%`, and does not after a backslash."""


def check_arguments(settings: Settings) -> None:
    """Refuse arguments of sbatch on which the launcher relies, and what is none.

    Raises:
        UvlpError: names the argument, and the setting to use instead.
    """
    for each in settings.sbatch:
        name = each.partition("=")[0]
        if not NAME.fullmatch(name):
            fix = "for example launcher.sbatch.qos=long"
            raise UvlpError(
                "no argument of sbatch", got=f"launcher.sbatch.{each}", allowed="a long name", fix=fix
            )
        why = OWN_ARGUMENTS.get(name)
        if why is not None:
            raise UvlpError("this argument of sbatch is set by UVLP", got=f"launcher.sbatch.{each}", fix=why)


def check_store(root: Path) -> None:
    """Refuse a store in which Slurm could not write logs.

    Raises:
        UvlpError: the path has a character that Slurm does not take as it is.
    """
    if NO_LOG.search(str(root)):
        what = "Slurm cannot write logs below a path with %, a backslash or a line break"
        raise UvlpError(what, got=str(root), fix="use another folder: --store DIR")


def nodes_of(gpus: int, settings: Settings) -> int:
    """Return the number of nodes of a job with so many GPUs."""
    return math.ceil(gpus / settings.node_gpus) if settings.node_gpus and gpus else 1


def check_nodes(work: Launch, settings: Settings) -> None:
    """Refuse numbers of GPUs that do not divide among nodes.

    Raises:
        UvlpError: names the option, and the numbers that do.
    """
    each = settings.node_gpus
    for gpus in set(work.cards.values()) if settings.gpus else ():
        nodes = nodes_of(gpus, settings)
        if gpus % nodes:
            raise UvlpError(
                f"--gpus-per-finetune does not divide among {nodes} nodes of up to {each} GPUs",
                got=gpus,
                allowed=f"{gpus // nodes * nodes} or {(gpus // nodes + 1) * nodes}",
            )


def check_time(work: Launch, settings: Settings) -> None:
    """Refuse a time limit in which a job could not reach its first checkpoint, however often it is queued.

    Raises:
        UvlpError: names the task and the shortest limit.
    """
    available_s = 60.0 * settings.time_minutes - settings.warning_s
    for task in work.jobs:
        estimate_s = work.seconds.get(task.key, 0.0)
        unit_s = min(estimate_s, CHECKPOINT_S) if task.stage in RESUMED else estimate_s
        if unit_s and unit_s + START_S > available_s:
            least = math.ceil((unit_s + START_S + settings.warning_s) / 60)
            raise UvlpError(
                f"the time limit is shorter than one checkpoint of {task.stage} ({task.title})",
                got=f"{settings.time_minutes} min",
                allowed=f"at least {least} min by its estimate",
                fix=f"--set launcher.time_minutes={least}",
            )
