"""What a job costs: tasks without work on a Slurm, grouped and each in a job of its own.

    python -m benchmarks.cluster.cluster_overhead [--grouped 2000] [--alone 200]

It needs `sbatch`, and a cluster that this machine may use; nothing imports torch. Printed are the seconds per
task from the call to the last outcome, and of the submission alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.errors import Detached
from uvlp.declarations.launcher import Launch
from uvlp.launchers import slurm
from uvlp.launchers.jobs import attending
from uvlp.launchers.jobs.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]


def make(root: Path, tasks: Sequence[Task], workers: int | None) -> None:
    """Publish an empty artifact for each task."""
    store = Store(root)
    for task in tasks:
        with store.making(task, print) as folder:
            if folder is not None:
                (folder / "made.txt").write_text("", encoding="utf-8")
                store.commit(task, folder, {})


def measured(root: Path, count: int, seconds: float, settings: Settings) -> tuple[float, float]:
    """Return the seconds of the submission, and of everything, for ``count`` tasks."""
    from benchmarks.cluster import cluster_overhead  # a node does not know this file as `__main__`

    Store(root).prepare()
    tasks = [
        Task(kind="pixels", stage="pixels", facts={"n": row}, title=f"task {row}") for row in range(count)
    ]
    values: dict[str, Any] = {
        "name": f"overhead-{count}",
        "root": root,
        "tasks": tasks,
        "jobs": tasks,
        "seconds": {task.key: seconds for task in tasks},
        "make": partial(cluster_overhead.make, root),
    }
    began = time.monotonic()
    try:
        slurm.launch(Launch(**values, detach=True), settings)
    except Detached:
        submitted = time.monotonic() - began
    slurm.launch(Launch(**values), settings)
    return submitted, time.monotonic() - began


def main() -> None:
    """Print the overhead."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--grouped", type=int, default=2000)
    parser.add_argument("--alone", type=int, default=200)
    arguments = parser.parse_args()
    attending.LOOK_EVERY_S = 5.0
    os.environ["PYTHONPATH"] = str(REPOSITORY)  # of the nodes
    settings = Settings(cpus=1, gpus=0, memory_gb=1)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for title, count, seconds in (
            ("grouped", arguments.grouped, 60.0),
            ("each in a job", arguments.alone, 3600.0),
        ):
            submitted, total = measured(Path(folder) / title.split()[0], count, seconds, settings)
            print(
                f"{title}: {count} tasks, {1000 * submitted / count:.0f} ms per task to submit, "
                f"{1000 * total / count:.0f} ms per task in all, {total:.0f} s"
            )


if __name__ == "__main__":
    main()
