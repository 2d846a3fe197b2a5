"""The blocks of docs/cluster.md on a real Slurm, small: in a temporary folder, with digits for ImageNette.

A script named apptainer stands in for Apptainer, which is not here: it runs what follows the image.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launchers.conftest import REPOSITORY
from uvlp.artifacts.task import MANIFEST
from uvlp.launchers.jobs import record
from uvlp.launchers.jobs.settings import Settings
from uvlp.pipeline.runs import files as journals, launched

pytestmark = pytest.mark.cluster
PAGE = REPOSITORY / "docs" / "cluster.md"
SMALL = "digits 1 --profile nano --method random --repeats 1"
APPTAINER = """#!/bin/sh
echo "$*" >> {log}
while [ "$1" != u.sif ]; do shift; done
shift
exec "$@"
"""


def replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"{old} is no longer on the page"
        text = text.replace(old, new)
    return text


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def environment(repository: Path) -> None:
    """Write an environment that counts as current, with the interpreter of the tests."""
    venv = repository / ".venv"
    for name, words in (("uvlp", "-P -m uvlp"), ("python", "-P")):
        script(venv / "bin" / name, f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
    lock = (REPOSITORY / "docker" / "requirements.lock").read_text(encoding="utf-8")
    script(venv / "dependencies.stamp", f"{repository}\n{lock}")
    script(venv / "project.stamp", (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def files(store: Path) -> dict[str, bytes]:
    """Return the files of all artifacts but their manifests, which say where and when."""
    kinds = ("distilled", "pixels", "scores", "tables")
    found = [path for kind in kinds for path in (store / kind).rglob("*") if path.is_file()]
    return {str(path.relative_to(store)): path.read_bytes() for path in found if path.name != MANIFEST}


def test_the_blocks_of_the_page_give_the_same_bytes(
    cluster: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the login node, in one job, and as jobs in a container."""
    shared, bash = tmp_path / "shared", blocks("bash")
    first, job = bash
    common = {"/shared/me": str(shared)}
    prepared = f"&& {sys.executable} -P -m tests.launchers.test_page $PWD"
    shared.mkdir()
    first = replaced(
        first,
        {
            "REPOSITORY": str(REPOSITORY),
            "/shared/me/uvlp\n": f"/shared/me/uvlp {prepared}\n",
            "digits_ipc10.sh": f"digits_ipc10.sh {SMALL.removeprefix('digits 1')}".replace("  ", " "),
            "fetch imagenette": "fetch digits",
            "fetch models": "fetch models --dry-run",
            **common,
        },
    )
    subprocess.run(["bash", "-euc", first], check=True)

    small = {"imagenette 10": SMALL.replace("digits 1", "digits 10"), "/shared/me/store": f"{tmp_path}/job"}
    small |= {"--cpus-per-task=8": "--cpus-per-task=1", "--mem=64G": "--mem=2G", **common}
    path = script(tmp_path / "job.sh", replaced(job, small))
    subprocess.run(["sbatch", "--wait", "-o", str(tmp_path / "job.log"), str(path)], check=True)

    (toml,) = blocks("toml")
    small = {
        '"gpu"': '"test"',
        'account = "lab"\n': "",
        'qos = "normal"\n': "",
        "memory_gb = 64": "memory_gb = 2",
    }
    small |= {"h100": "h200", "cpus = 8": "cpus = 1", "module load cuda": "true"}
    config = script(tmp_path / "launcher.toml", replaced(toml, small))
    called = tmp_path / "called"
    script(tmp_path / "bin" / "apptainer", APPTAINER.format(log=called))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    words = [*SMALL.replace("digits 1", "digits 10").split(), "--launcher-config", str(config)]
    words += ["--set", "launcher.container=u.sif", "--set", f"launcher.python={sys.executable}"]
    words += ["--set", "launcher.job_minutes=0", "--store", str(tmp_path / "jobs")]
    subprocess.run([sys.executable, "-m", "uvlp", "reproduce", *words], check=True)
    calls = called.read_text(encoding="utf-8").split("\n")
    assert any(line.startswith("exec --nv u.sif ") for line in calls), "trainings"
    assert any(line.startswith("exec u.sif ") for line in calls), "the probe needs no card"
    assert files(tmp_path / "jobs") == files(tmp_path / "job") == files(shared / "store") != {}
    (name,) = journals.names(tmp_path / "jobs")
    run = launched.read(tmp_path / "jobs", name)
    assert run.name == record.find_run(tmp_path / "jobs", name).folder.name[:8], "as uvlp cancel takes it"
    assert run.state == "finished" and all(each.host and each.device == "CPU" for each in run.jobs)


if __name__ == "__main__":
    environment(Path(sys.argv[1]))
