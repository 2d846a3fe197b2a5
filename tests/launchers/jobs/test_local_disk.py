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
    for name in (STAGED, *local_disk.VARIABLES):
        monkeypatch.setenv(name, "")


def test_the_folder_of_the_cluster_comes_first_and_is_left_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in local_disk.VARIABLES:
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    with local_disk.folder("a"), local_disk.folder("a"):
        made = sorted((tmp_path / "SLURM_TMPDIR").iterdir())
        assert len(made) == 2 and os.environ[STAGED] in map(str, made)
        (made[0] / "train.tar").touch()
    assert not list((tmp_path / "SLURM_TMPDIR").iterdir()) and not list((tmp_path / "TMPDIR").iterdir())


def test_no_folder_is_no_error_before_an_image_is_read() -> None:
    with local_disk.folder("a"):
        assert os.environ[STAGED] == ""


def test_what_a_killed_job_left_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
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
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    start.main(tmp_path, file)
    assert seen[0] == "" and seen[1].startswith(str(tmp_path)) and not Path(seen[1]).exists()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    with pytest.raises(SystemExit):
        start.main(tmp_path, file)
    found = outcome.read(tmp_path, "job")
    assert found is not None and found.state == outcome.FAILED and found.got == str(tmp_path / "gone")
    with pytest.raises(UvlpError), local_disk.folder("a"):
        pass
