"""A large dataset is hashed by a job of the launcher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvlp.artifacts.store import Store
from uvlp.core.plugins import Origin
from uvlp.declarations import launcher as declarations
from uvlp.declarations.launcher import HERE, Launch, Launcher, LauncherDeclaration
from uvlp.declarations.settings import NoSettings
from uvlp.pipeline import names
from uvlp.pipeline.names import Checked
from uvlp.pipeline.requests import hashing
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request

ELSEWHERE = Launcher(name="elsewhere")


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Launch]]:
    """What a launcher of jobs is handed; it makes them at once."""
    works: list[Launch] = []

    def launch(work: Launch, settings: NoSettings) -> None:
        works.append(work)
        work.make(work.jobs, None)

    origin = Origin(group="launchers", name="elsewhere", module="elsewhere")
    declared = LauncherDeclaration(
        origin=origin,
        title="t",
        remote=True,
        settings=NoSettings,
        card=lambda settings: "",
        part_minutes=lambda settings: 0,
        archives=lambda settings: False,
        launch=launch,
        check=None,
        lines=None,
        cancel=None,
        submitted=None,
    )
    original = declarations.declared_launcher
    monkeypatch.setattr(
        hashing, "declared_launcher", lambda name: declared if name == "elsewhere" else original(name)
    )
    yield works


def checked(dataset: str) -> Checked:
    return names.check(resolve(Request(dataset=dataset, ipc=1, profile="nano", methods=("random",))), None)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for number, name in enumerate(f"{split}/{label}" for split in ("train", "val") for label in "ab"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(np.full((8, 8, 3), 30 * number, np.uint8)).save(tmp_path / "data" / name / "0.png")
    return f"folder:{tmp_path / 'data'}"


def test_a_folder_of_unknown_size_is_hashed_once(launched: list[Launch], folder: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    hashing.hash_elsewhere(checked(folder), store, ELSEWHERE)
    hashing.hash_elsewhere(checked(folder), store, ELSEWHERE)
    (work,) = launched
    assert [job.title for job in work.jobs] == [f"hash {folder}"] and not work.detach
    assert hashing.marker(store.cache, hashing.Opening(checked(folder).spec)).is_file()


def test_small_sets_and_local_runs_need_no_job(launched: list[Launch], folder: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    hashing.hash_elsewhere(checked("digits"), store, ELSEWHERE)
    hashing.hash_elsewhere(checked(folder), store, HERE)
    assert not launched
