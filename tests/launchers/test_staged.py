"""launcher.stage on a real Slurm: a job reads images from its node's own disk, with the same bytes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.launchers.nodes import until
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST
from uvlp.core.progress import Progress
from uvlp.core.scheduling.cards import Asked
from uvlp.declarations.launcher import Launcher
from uvlp.launchers import slurm
from uvlp.launchers.jobs.settings import Settings
from uvlp.pipeline import names
from uvlp.pipeline.making import make, staging
from uvlp.pipeline.making.execute import execute
from uvlp.pipeline.prepare import Plan, prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request

pytestmark = pytest.mark.cluster


@pytest.fixture
def images(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for seed, name in enumerate(f"{split}/{label}" for split in ("train", "val") for label in "ab"):
        (root / name).mkdir(parents=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name / "0.png")
    return root


def planned(images: Path, store: Store) -> Plan:
    """Return a plan that selects training images; validation images are resized for it."""
    request = Request(dataset=f"folder:{images}", ipc=1, profile="nano", methods=("random",))
    store.prepare()
    return prepare(names.check(resolve(request), None), store, "tabulate")


def files(store: Store, plan: Plan) -> dict[str, bytes]:
    """Return the files of the artifacts that read images, without manifests, which say where and when."""
    folders = [store.folder(task) for task in plan.tasks if task.stage in ("pixels", "synthesise")]
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(store.root)): path.read_bytes() for path in found if path.name != MANIFEST}


def test_jobs_read_their_own_copy(cluster: Settings, images: Path, tmp_path: Path) -> None:
    here, there, disk = Store(tmp_path / "here"), Store(tmp_path / "there"), tmp_path / "disk"
    disk.mkdir()
    plan = planned(images, here)
    todo = [task for task in plan.tasks if task.stage in ("pixels", "synthesise")]
    for task in todo:
        execute(here.root, task, Progress())

    setup = ("unset SLURM_TMPDIR", f"export TMPDIR={disk}")
    launcher = Launcher(name="slurm", settings=replace(cluster, stage=True, job_minutes=30, setup=setup))
    again = planned(images, there)
    assert again.goal.key == plan.goal.key, "the key does not depend on it"
    staging.archive(again, there, todo, launcher)
    os.rename(images, tmp_path / "gone")
    slurm.launch(make.launch(again, there, todo, Asked(workers=1), launcher), launcher.settings)
    assert files(there, again) == files(here, plan) != {}
    logs = [path.read_text(encoding="utf-8") for path in there.root.glob("launched/*/log/*.out")]
    (log,) = [text for text in logs if "copying the images" in text]
    assert "copying the images of train" in log and "copying the images of val" in log
    until(lambda: not list(disk.iterdir()))  # the copies are deleted as the job ends
