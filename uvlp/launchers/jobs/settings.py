"""Settings of `slurm`."""

from __future__ import annotations

from dataclasses import dataclass

from uvlp.recipes.setting import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of `slurm`; `sbatch` is set by ``launcher.sbatch.KEY=VALUE``, one argument each."""

    partition: str = setting("", "partition; empty: the cluster's default")
    cpu_partition: str = setting("", "partition of jobs that need no GPU; empty: the same")
    account: str = setting("", "account to charge; empty: the user's default")
    constraint: str = setting("", "features that a node must have")
    time_minutes: int = setting(240, "time limit of a job", least=1, most=60 * 24 * 365)
    memory_gb: int = setting(32, "memory of a job in GB; 0: no --mem", least=0, most=2**14)
    gpus: int = setting(1, "GPUs of a job; 0: none, and no --gpus-per-node", least=0, most=1024)
    node_gpus: int = setting(
        0, "most GPUs of a node; a fine-tuning with more takes several nodes; 0: one node", least=0, most=1024
    )
    cpus: int = setting(4, "processor cores of a job", least=1, most=4096)
    job_minutes: int = setting(30, "shorter tasks share a job until their estimates reach this", least=0)
    warning_s: int = setting(90, "seconds before the time limit at which a job saves its parts", least=10)
    card: str = setting("", "card for time estimates, e.g. h100; empty: h100 with GPUs, else this processor")
    python: str = setting("", "command of the workers' Python; empty: this one, on a shared folder")
    container: str = setting("", "Apptainer image that the workers run in")
    stage: bool = setting(
        False, "copy images as one archive to the node's own disk: SLURM_TMPDIR, else TMPDIR"
    )
    setup: tuple[str, ...] = setting((), "lines of the job script before the workers start")
    sbatch: tuple[str, ...] = setting((), "further arguments of sbatch, KEY=VALUE each")
