"""A real Slurm for the tests marked `cluster`: `SLURM_CONF` names one of at least two nodes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launchers.chains import installed
from uvlp.launchers.jobs import attending
from uvlp.launchers.jobs.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def cancel_all() -> None:
    """End all jobs of this user, which are those of the tests."""
    subprocess.run(["scancel", "--me"], check=True)
    for _ in range(100):
        if not subprocess.run(["squeue", "--me", "-h"], capture_output=True, check=True).stdout:
            return
        time.sleep(0.1)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Return settings of small jobs; the waiting times of the launcher are shortened."""
    try:
        found = subprocess.run(
            ["sinfo", "-h", "-N", "-o", "%N"], capture_output=True, encoding="utf-8", check=False
        )
    except FileNotFoundError:
        pytest.fail("the tests of clusters need Slurm, and there is no sinfo command: see .ci/run")
    if found.returncode != 0:
        pytest.fail(f"the tests of clusters need a Slurm that answers, see .ci/run: {found.stderr}")
    monkeypatch.setattr(attending, "LOOK_EVERY_S", 1.0)
    monkeypatch.setattr(attending, "READ_EVERY_S", 0.2)
    monkeypatch.setattr(attending, "GRACE_S", 5.0)
    package = tmp_path_factory.mktemp("package")
    installed(package)
    paths = [str(REPOSITORY), str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))  # for the nodes
    yield Settings(memory_gb=1, cpus=1, gpus=1, job_minutes=0)
    cancel_all()
