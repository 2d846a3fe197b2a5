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
from pathlib import Path

from tests.launchers.chains import installed, task, work
from uvlp.artifacts.store import Store
from uvlp.core.errors import Detached
from uvlp.launchers import slurm
from uvlp.launchers.jobs import attending
from uvlp.launchers.jobs.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]


def measured(root: Path, count: int, seconds: float, settings: Settings) -> tuple[float, float]:
    """Return the seconds of the submission, and of everything, for ``count`` tasks."""
    Store(root).prepare()
    tasks = [task(row) for row in range(count)]
    estimates = {each.key: seconds for each in tasks}
    began = time.monotonic()
    try:
        slurm.launch(work(root, tasks, seconds=0.0, estimates=estimates, detach=True), settings)
    except Detached:
        submitted = time.monotonic() - began
    slurm.launch(work(root, tasks, seconds=0.0, estimates=estimates), settings)
    return submitted, time.monotonic() - began


def main() -> None:
    """Print the overhead."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--grouped", type=int, default=2000)
    parser.add_argument("--alone", type=int, default=200)
    arguments = parser.parse_args()
    attending.LOOK_EVERY_S = 5.0
    settings = Settings(cpus=1, gpus=0, memory_gb=1)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        installed(Path(folder) / "package")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), f"{folder}/package"])  # of the nodes
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
