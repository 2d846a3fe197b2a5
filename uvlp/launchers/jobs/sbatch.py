"""Submission of jobs by submitit: the arguments of `sbatch`, and its errors in the cluster's own words."""

from __future__ import annotations

import math
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.lines import split_lines
from uvlp.launchers.jobs.on_node import local_disk
from uvlp.launchers.jobs.settings import Settings

SPARE_RESTARTS = 3
"""Timeouts of a job beyond the number that its estimate predicts, because estimates are rough."""
LIMIT = re.compile(r"MaxSubmit|GrpSubmit|MaxJobCount|temporarily unable to accept", re.IGNORECASE)
"""Names of limits of the number of jobs; Slurm says "job submit limit" of any other limit too."""
NUMBER = re.compile(r"job ([0-9]+)")
START = "uvlp.launchers.jobs.on_node.start"
REQUEUE = (
    "status=$?",
    'file={folder}/"$SLURM_JOB_ID".requeue',
    'if [ -e "$file" ]; then rm "$file"; scontrol requeue "$SLURM_JOB_ID"; fi',
    "exit $status",
)
"""End of a job script, outside the workers' container: see `on_node/requeue.py`."""


class SubmitLimit(Exception):
    """The cluster takes no more jobs of this user for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Equal jobs that are submitted together; several are an array.

    Attributes:
        names: of their orders.
        title: the name in the cluster's queue.
        seconds: the longest estimated time.
        after: numbers of the jobs that must succeed before.
        begun: numbers of those that must have started, or been cancelled.
        memory_gb: 0: no `--mem`.
        gpus: 0: no `--gpus-per-node`.
        nodes: among which they are divided equally; one process of UVLP starts on each.
    """

    names: tuple[str, ...]
    title: str
    seconds: float
    after: tuple[str, ...]
    memory_gb: int
    gpus: int
    nodes: int = 1
    begun: tuple[str, ...] = ()


def arguments(settings: Settings, batch: Batch) -> dict[str, Any]:
    """Return the arguments of `sbatch` by name; those of the user replace those of UVLP."""
    given = dict(each.partition("=")[::2] for each in settings.sbatch)
    own = {name: value for name, value in given.items() if value != "false"}
    on_processor = settings.gpus > 0 and not batch.gpus
    if on_processor:
        own = {name: value for name, value in own.items() if not _asks_for_gpus(name, value)}
    values: dict[str, Any] = {
        "job-name": batch.title,
        "time": settings.time_minutes,
        "partition": (on_processor and settings.cpu_partition) or settings.partition,
        "account": settings.account,
        "constraint": settings.constraint,
        "cpus-per-task": settings.cpus,
        "nodes": batch.nodes if batch.nodes > 1 else "",
        "ntasks-per-node": 1 if batch.nodes > 1 else "",
        "gpus-per-node": batch.gpus // batch.nodes,
        "mem": f"{batch.memory_gb}GB" if batch.memory_gb else "",
        "dependency": _dependency(batch),
        "kill-on-invalid-dep": "yes" if batch.after else "",
        "requeue": True,
    }
    replaced = {"gres": "gpus-per-node", "gpus": "gpus-per-node", "gpus-per-task": "gpus-per-node"}
    replaced |= {"mem-per-cpu": "mem", "mem-per-gpu": "mem"}
    for name, hidden in replaced.items():
        if name in own:
            values.pop(hidden, None)
    # An argument without a value is written `exclusive=`, or `exclusive = true` in a file.
    values |= {name: True if value in ("", "true") else value for name, value in own.items()}
    return {name: value for name, value in values.items() if value}


def _dependency(batch: Batch) -> str:
    kinds = {"afterok": batch.after, "after": batch.begun}
    return ",".join(f"{kind}:{':'.join(jobs)}" for kind, jobs in kinds.items() if jobs)


def interpreter(settings: Settings, gpus: int) -> str:
    """Return the command of the workers' Python; empty: this one, which all nodes then need to see."""
    python = settings.python
    if settings.container:
        inside = python or "/opt/uvlp/.venv/bin/python"
        nv = "--nv " if gpus else ""
        return f"apptainer exec {nv}{shlex.quote(settings.container)} {inside}"
    return python


def _asks_for_gpus(name: str, value: str) -> bool:
    return name.startswith(("gpus", "gpu-", "mem-per-gpu", "cpus-per-gpu")) or (
        name in ("gres", "tres-per-node", "tres-per-task") and "gpu" in value
    )


def most_timeouts(seconds: float, settings: Settings) -> int:
    """Return how often a job of this estimate may reach its time limit before it counts as failed."""
    return math.ceil(seconds / (60.0 * settings.time_minutes)) + SPARE_RESTARTS


def script(folder: Path, settings: Settings, batch: Batch, order: str) -> str:
    """Return the job script of a batch, which submitit writes; it runs a module of UVLP, and no pickle.

    Args:
        folder: of the run.
        settings: of the launcher.
        batch: what is submitted.
        order: name of the file with what its jobs make.
    """
    import submitit

    made = submitit.SlurmExecutor(folder=folder / "log")
    values = arguments(settings, batch)
    made.update_parameters(
        time=values.pop("time"),
        job_name=values.pop("job-name"),
        nodes=int(values.pop("nodes", 1)),
        # The other nodes end with the first one.
        srun_args=["--kill-on-bad-exit=1"] if batch.nodes > 1 else None,
        signal_delay_s=settings.warning_s,
        setup=[*settings.setup, *([local_disk.SETUP] if settings.stage else [])] or None,
        teardown=[line.format(folder=shlex.quote(str(folder))) for line in REQUEUE],
        stderr_to_stdout=True,
        array_parallelism=len(batch.names),
        additional_parameters=values,
    )
    if len(batch.names) > 1:
        made.parameters["map_count"] = len(batch.names)
    python = interpreter(settings, batch.gpus) or shlex.quote(sys.executable)
    return made._make_submission_file_text(f"{python} -u -m {START} {shlex.quote(str(folder))} {order}", "")


def submit(folder: Path, settings: Settings, batch: Batch, order: str) -> list[str]:
    """Submit a batch; return the number of each job.

    The script goes to `sbatch` through a pipe: nobody who may write to the store can change it before.

    Raises:
        UvlpError: the cluster refuses it; in its own words.
        SubmitLimit: it takes no more jobs of this user.
    """
    (folder / "log").mkdir(parents=True, exist_ok=True)
    text = script(folder, settings, batch, order)
    done = subprocess.run(["sbatch"], input=text, capture_output=True, encoding="utf-8", errors="replace")
    number = NUMBER.search(done.stdout)
    if done.returncode != 0 or number is None:
        raise refused(done.stderr or done.stdout)
    if len(batch.names) == 1:
        return [number[1]]
    return [f"{number[1]}_{row}" for row in range(len(batch.names))]


def refused(printed: str) -> UvlpError | SubmitLimit:
    """Return the error for what `sbatch` printed when it refused a job."""
    lines = [
        line.strip() for line in split_lines(printed) if "sbatch: error:" in line or "munge" in line.lower()
    ]
    said = "; ".join(line.removeprefix("sbatch: error:").strip() for line in lines)
    words = said or " ".join(printed.split()) or "nothing is said"
    if LIMIT.search(words):
        return SubmitLimit(words)
    return UvlpError(
        "the cluster refuses the job",
        got=words,
        fix="change the settings of the launcher, --set launcher.KEY=VALUE (docs/cluster.md)",
    )


def lines(settings: Settings, batch: Batch) -> list[str]:
    """Return the `#SBATCH` lines of a batch, for a dry run."""
    values: Mapping[str, Any] = arguments(settings, batch)
    listed = [f"--{name}" + ("" if value is True else f"={value}") for name, value in sorted(values.items())]
    size = len(batch.names)
    return [*listed, *([f"--array=0-{size - 1}"] if size > 1 else [])]


def whole_arrays(after: Iterable[str], arrays: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return dependencies with all elements of an array written as the array.

    Args:
        after: numbers of jobs.
        arrays: numbers of all elements by the number of their array.
    """
    wanted = set(after)
    shorter: list[str] = []
    for array, elements in arrays.items():
        if len(elements) > 1 and wanted.issuperset(elements):
            wanted -= set(elements)
            shorter.append(array)
    return tuple(sorted([*shorter, *wanted], key=lambda job: [int(part) for part in job.split("_")]))
