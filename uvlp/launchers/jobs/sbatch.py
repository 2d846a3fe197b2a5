"""Submission of jobs by submitit: the arguments of `sbatch`, and its errors in the cluster's own words."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.lines import split_lines
from uvlp.launchers.jobs.settings import Settings
from uvlp.launchers.jobs.submitted import OnNode

if TYPE_CHECKING:
    from submitit import SlurmExecutor

SPARE_RESTARTS = 3
"""Timeouts of a job beyond the number that its estimate predicts, because estimates are rough."""
LIMIT = re.compile(r"submit limit|MaxSubmit|QOSMaxSubmit|MaxJobCount|AssocMaxSubmit", re.IGNORECASE)
SAID = "sbatch: error:"
REQUEUE = (
    "status=$?",
    'file={folder}/"$SLURM_JOB_ID".requeue',
    'if [ -e "$file" ]; then rm "$file"; scontrol requeue "$SLURM_JOB_ID"; fi',
    "exit $status",
)
"""End of a job script, outside the workers' container: see `submitted.OnNode.checkpoint`."""


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
        memory_gb: 0: no `--mem`.
        gpus: 0: no `--gpus-per-node`.
    """

    names: tuple[str, ...]
    title: str
    seconds: float
    after: tuple[str, ...]
    memory_gb: int
    gpus: int


def arguments(settings: Settings, batch: Batch) -> dict[str, Any]:
    """Return the arguments of `sbatch` by name; those of the user replace those of UVLP."""
    own = dict(each.partition("=")[::2] for each in settings.sbatch)
    values: dict[str, Any] = {
        "job-name": batch.title,
        "time": settings.time_minutes,
        "partition": settings.partition,
        "account": settings.account,
        "constraint": settings.constraint,
        "cpus-per-task": settings.cpus,
        "gpus-per-node": batch.gpus,
        "mem": f"{batch.memory_gb}GB" if batch.memory_gb else "",
        "dependency": f"afterok:{':'.join(batch.after)}" if batch.after else "",
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


def interpreter(settings: Settings) -> str:
    """Return the command of the workers' Python; empty: this one, which all nodes then need to see."""
    python = settings.python
    if settings.container:
        inside = python or "/opt/uvlp/.venv/bin/python"
        nv = "--nv " if settings.gpus else ""
        return f"apptainer exec {nv}{shlex.quote(settings.container)} {inside}"
    return python


def executor(folder: Path, settings: Settings, batch: Batch) -> SlurmExecutor:
    """Return submitit's executor for a batch."""
    import submitit

    limit_s = 60.0 * settings.time_minutes
    made = submitit.SlurmExecutor(
        folder=folder / "log",
        max_num_timeout=math.ceil(batch.seconds / limit_s) + SPARE_RESTARTS,
        python=interpreter(settings) or None,
    )
    values = arguments(settings, batch)
    made.update_parameters(
        time=values.pop("time"),
        job_name=values.pop("job-name"),
        signal_delay_s=settings.warning_s,
        setup=list(settings.setup) or None,
        teardown=[line.format(folder=shlex.quote(str(folder))) for line in REQUEUE],
        stderr_to_stdout=True,
        array_parallelism=len(batch.names),
        additional_parameters=values,
    )
    return made


def submit(folder: Path, settings: Settings, batch: Batch) -> list[str]:
    """Submit a batch; return the number of each job.

    Raises:
        UvlpError: the cluster refuses it; in its own words.
        SubmitLimit: it takes no more jobs of this user.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    orders = [OnNode(str(folder), name) for name in batch.names]
    try:
        jobs = executor(folder, settings, batch).submit_array(orders)
    except (FailedJobError, FailedSubmissionError) as error:
        raise refused(str(error)) from error
    return [job.job_id for job in jobs]


def refused(printed: str) -> UvlpError | SubmitLimit:
    """Return the error for what `sbatch` printed when it refused a job."""
    lines = [
        line.strip() for line in split_lines(printed) if "sbatch: error:" in line or "munge" in line.lower()
    ]
    words = "; ".join(line.removeprefix("sbatch: error:").strip() for line in lines) or printed.strip()
    if LIMIT.search(words):
        return SubmitLimit(words)
    return UvlpError(
        "the cluster refuses the job",
        got=words,
        fix="change the settings of the launcher, --set launcher.KEY=VALUE (docs/cluster.md)",
    )


def script(settings: Settings, batch: Batch) -> list[str]:
    """Return the `#SBATCH` lines of a batch, for a dry run."""
    values: Mapping[str, Any] = arguments(settings, batch)
    lines = [f"--{name}" + ("" if value is True else f"={value}") for name, value in sorted(values.items())]
    size = len(batch.names)
    return [*lines, *([f"--array=0-{size - 1}"] if size > 1 else [])]


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
