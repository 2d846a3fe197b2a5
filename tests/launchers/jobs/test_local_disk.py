"""The folder of a job on its node's own disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launchers.chains import fan, work
from uvlp.artifacts.dataset import STAGED
from uvlp.core.errors import UvlpError
from uvlp.core.files.leases import lease
from uvlp.launchers.jobs import order, outcome
from uvlp.launchers.jobs.on_node import local_disk, requeue, start


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (STAGED, local_disk.DISK):
        monkeypatch.setenv(name, "")


@pytest.mark.parametrize(
    ("cluster", "own", "chosen"), [("/job", "/own", "/job"), ("", "/own", "/own"), (None, None, "")]
)
def test_the_folder_of_the_cluster_comes_first(
    cluster: str | None, own: str | None, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SLURM_TMPDIR", cluster), ("TMPDIR", own)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    command = ["bash", "-euc", f'{local_disk.SETUP}; printf %s "${local_disk.DISK}"']
    assert subprocess.run(command, capture_output=True, check=True).stdout.decode() == chosen


def test_jobs_have_folders_of_their_own_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(local_disk.DISK, str(tmp_path))
    with local_disk.folder("a"), local_disk.folder("a"):
        made = sorted(tmp_path.iterdir())
        assert len(made) == 2 and os.environ[STAGED] in map(str, made)
        (made[0] / "train.tar").touch()
    assert not list(tmp_path.iterdir())


def test_no_folder_is_no_error_before_an_image_is_read() -> None:
    with local_disk.folder("a"):
        assert os.environ[STAGED] == ""


def test_what_a_killed_job_left_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(local_disk.DISK, str(tmp_path))
    code = "import os\nfrom uvlp.launchers.jobs.on_node import local_disk\n"
    code += "with local_disk.folder('dead'):\n os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    (dead,) = tmp_path.iterdir()
    (alive, other) = (tmp_path / name for name in ("uvlp-alive", "uvlp-other"))
    for each in (alive, other):
        each.mkdir()
    held = lease.create(alive / local_disk.LEASE)
    with local_disk.folder("b"):
        assert not dead.exists() and alive.exists() and other.exists()
    assert held is not None
    held.release()


def test_a_disk_that_cannot_be_written_ends_the_job_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = order.Limits(minutes=9, timeouts=0, masked=False, staged=True)
    tasks = fan(1)
    file = order.write(tmp_path, {"job": tasks}, work(tmp_path, tasks).make, None, told)
    seen: list[str] = []
    monkeypatch.setattr(requeue, "run", lambda *_: seen.append(os.environ[STAGED]))
    start.main(tmp_path, file)
    monkeypatch.setenv(local_disk.DISK, str(tmp_path))
    start.main(tmp_path, file)
    assert seen[0] == "" and seen[1].startswith(str(tmp_path)) and not Path(seen[1]).exists()
    monkeypatch.setenv(local_disk.DISK, str(tmp_path / "gone"))
    with pytest.raises(SystemExit):
        start.main(tmp_path, file)
    found = outcome.read(tmp_path, "job")
    assert found is not None and found.state == outcome.FAILED and found.got == str(tmp_path / "gone")
    with pytest.raises(UvlpError), local_disk.folder("a"):
        pass
