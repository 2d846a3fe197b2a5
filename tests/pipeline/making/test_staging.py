"""The archives that a run's nodes read are written by a first job, once, and announced by a dry run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvlp.artifacts.store import Store
from uvlp.core.errors import UvlpError
from uvlp.datasets.staging import archives
from uvlp.declarations import launcher as declarations
from uvlp.declarations.launcher import HERE, LOCAL, Launch, Launcher
from uvlp.pipeline import names
from uvlp.pipeline.making import staging
from uvlp.pipeline.prepare import Plan, prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request


@dataclass(frozen=True)
class Settings:
    stage: bool = True


ELSEWHERE = Launcher(name="elsewhere", settings=Settings())
OFF = Launcher(name="elsewhere", settings=Settings(stage=False))


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Launch]:
    """What a launcher of jobs is handed; it makes them at once."""
    works: list[Launch] = []

    def launch(work: Launch, settings: Settings) -> None:
        works.append(work)
        work.make(work.jobs, None)

    original = declarations.declared_launcher
    declared = replace(
        original(LOCAL),
        remote=True,
        settings=Settings,
        archives=lambda settings: settings.stage,
        launch=launch,
    )
    monkeypatch.setattr(
        staging, "declared_launcher", lambda name: declared if name == "elsewhere" else original(name)
    )
    return works


@pytest.fixture
def planned(tmp_path: Path) -> Callable[[str], tuple[Plan, Store]]:
    store = Store(tmp_path / "store")

    def plan(dataset: str) -> tuple[Plan, Store]:
        request = Request(dataset=dataset, ipc=1, profile="nano", methods=("random",))
        store.prepare()
        return prepare(names.check(resolve(request), None), store, "tabulate"), store

    return plan


@pytest.fixture
def images(tmp_path: Path) -> str:
    for number, name in enumerate(f"{split}/{label}" for split in ("train", "val") for label in "ab"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(np.full((8, 8, 3), 30 * number, np.uint8)).save(tmp_path / "data" / name / "0.png")
    return f"folder:{tmp_path / 'data'}"


def test_a_first_job_writes_them_once(
    launched: list[Launch], planned: Callable[[str], tuple[Plan, Store]], images: str
) -> None:
    plan, store = planned(images)
    (before,) = staging.lines(plan, store.cache, ELSEWHERE)
    for launcher in (HERE, OFF, ELSEWHERE, ELSEWHERE):
        staging.archive(plan, store, plan.tasks, launcher)
    (work,) = launched
    assert [job.title for job in work.jobs] == [f"archive {images}"] and not work.detach
    assert work.cards == {work.jobs[0].key: 0}, "it needs no card"
    assert archives.is_written(store.cache, plan.manifest.content_hash)
    (after,) = staging.lines(plan, store.cache, ELSEWHERE)
    assert "is written by a first job" in before and "is there" in after
    assert "train (3.1 kB) or val (3.1 kB)" in after and str(store.cache / "staged") in after
    assert staging.lines(plan, store.cache, OFF) == staging.lines(plan, store.cache, HERE) == []


def test_tasks_that_read_no_image_need_none(
    launched: list[Launch], planned: Callable[[str], tuple[Plan, Store]], images: str
) -> None:
    plan, store = planned(images)
    staging.archive(
        plan, store, [task for task in plan.tasks if task.stage in ("evaluate", "tabulate")], ELSEWHERE
    )
    assert not launched


def test_a_dataset_without_image_files(
    launched: list[Launch],
    planned: Callable[[str], tuple[Plan, Store]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan, store = planned("digits")
    staging.archive(plan, store, plan.tasks, ELSEWHERE)
    assert not launched and "nothing to stage" in capsys.readouterr().err
    assert "nothing to do" in staging.lines(plan, store.cache, ELSEWHERE)[0]


def test_a_dataset_that_has_changed_meanwhile(
    launched: list[Launch], planned: Callable[[str], tuple[Plan, Store]], images: str
) -> None:
    plan, store = planned(images)
    Image.new("RGB", (8, 8), "red").save(Path(images.partition(":")[2]) / "train" / "a" / "0.png")
    with pytest.raises(UvlpError) as caught:
        staging.archive(plan, store, plan.tasks, ELSEWHERE)
    assert "changed" in caught.value.what and not archives.is_written(store.cache, plan.manifest.content_hash)
