"""The part of submitit that has a job queued again, without the pickles that it would write and read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from submitit.core.utils import DelayedSubmission, JobPaths, UncompletedJobError
from submitit.slurm.slurm import SlurmJobEnvironment

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.launchers.jobs import outcome
from uvlp.launchers.jobs.order import Limits, left_file

LEFT = "timeouts_left"


class Left(DelayedSubmission):
    """What runs when the job starts again: submitit notes its limits, and writes it by `dump`."""

    def dump(self, filepath: str | Path) -> None:
        """Write how many timeouts are left; the order says the rest."""
        Path(filepath).write_text(json.dumps({LEFT: self._timeout_countdown}), encoding="utf-8")


class _Paths(JobPaths):
    """Paths of submitit, with the file of `Left` in place of its pickle."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder)
        self._file = left_file(folder, name)

    @property
    def submitted_pickle(self) -> Path:
        return self._file


class _Environment(SlurmJobEnvironment):
    """Asks for a job to be queued again: its script does that in a container without `scontrol`."""

    folder = Path()

    def _requeue(self, countdown: int) -> None:
        if shutil.which("scontrol") is None:
            (self.folder / f"{os.environ['SLURM_JOB_ID']}.requeue").touch()
        else:
            super()._requeue(countdown)


def run(job: Callable[[], Any], folder: Path, name: str, limits: Limits) -> None:
    """Run a job with a method ``checkpoint``, which is called when the cluster warns it.

    Raises:
        SystemExit: it was queued again, or failed; then the outcome file says how.
    """
    submission = Left(job)
    submission.set_timeout(limits.minutes, _timeouts(folder, name, limits.timeouts))
    environment = _Environment()
    environment.folder = folder
    environment._handle_signals(_Paths(folder, name), submission)
    try:
        submission.result()
    except UncompletedJobError:
        count, limit = limits.timeouts + 1, f"{limits.minutes} min"
        fix = "finished artifacts and parts are kept; raise launcher.time_minutes, and re-run the command"
        outcome.write(
            folder, name, UvlpError(f"a job reached its time limit {count} times", got=limit, fix=fix)
        )
        raise SystemExit(1) from None


def _timeouts(folder: Path, name: str, most: int) -> int:
    """Return the timeouts that are left; all of them if the file is missing or damaged."""
    file = left_file(folder, name)
    try:
        found = json_files.parse(file.read_bytes()) if file.is_file() else {}
    except (OSError, ValueError):
        found = {}
    left = found.get(LEFT) if isinstance(found, dict) else None
    return min(left, most) if type(left) is int else most
