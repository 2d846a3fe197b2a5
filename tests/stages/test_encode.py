"""Stage encode: made in parts by any number of jobs, and read by every fine-tuning on the same images."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.finetuning.finetuning_jobs import IMAGES, SETTINGS, SIDE_PX, bytes_of, make_world
from tests.stages.test_finetune import make, tasks, write_captions
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, read_manifest
from uvlp.artifacts.work import NOTES, read_notes
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.datasets.files.image_folder import ImageFolder
from uvlp.models.finetuning import latent_cache
from uvlp.pipeline.making import remaining
from uvlp.pipeline.making.execute import execute
from uvlp.pipeline.planning.pieces import Divided, pieces, task_of

CACHED = replace(SETTINGS, epochs=1, cache_latents=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_captions(make_world(tmp_path_factory.mktemp("world")))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the rows of training images that are read from now on; parts have three images."""
    rows: list[int] = []
    originals = ImageFolder.originals

    def counted(self: ImageFolder, split: str, indices: Sequence[int]) -> list[np.ndarray]:
        rows.extend(indices)
        return originals(self, split, indices)

    monkeypatch.setattr(ImageFolder, "originals", counted)
    monkeypatch.setattr(latent_cache, "BLOCK", 3)
    return rows


def made_by(jobs: Sequence[Any], root: Path) -> dict[str, bytes]:
    """Return the files that jobs make, the first of them killed at its second image and started again."""
    Store(root).prepare()

    def killed(event: object) -> None:
        if getattr(event, "done", 0):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(root, jobs[0], Progress(killed))
    for each in jobs:
        execute(root, each, Progress())
    folder = Store(root).folder(task_of(jobs[-1]))
    return {name: content for name, content in bytes_of(folder).items() if name != "manifest.json"}


def test_one_job_and_three_in_any_order_make_the_same_bytes(
    world: Path, tmp_path: Path, read: list[int]
) -> None:
    latents = tasks(world, tmp_path, CACHED)[1]
    alone = made_by([latents], tmp_path / "alone")
    shared = pieces(latents, 3)
    random.Random(0).shuffle(shared)
    read.clear()
    together = made_by([*shared, Divided(latents, 3)], tmp_path / "together")
    assert alone == together and set(alone) == {"latents.npy"}
    assert IMAGES <= len(read) <= IMAGES + 2 * latent_cache.BLOCK, "only the killed part is made again"
    stored = np.load(Store(tmp_path / "alone").folder(latents) / "latents.npy")
    assert stored.shape == (IMAGES, 2, 2, 4, SIDE_PX // 8, SIDE_PX // 8) and stored.dtype == np.float16


def test_seeds_share_the_latents_and_read_no_image(world: Path, tmp_path: Path, read: list[int]) -> None:
    first, second = (tasks(world, tmp_path, CACHED, seed=seed) for seed in (0, 1))
    assert first[1].key == second[1].key and first[-1].key != second[-1].key
    for made in (first, second):
        make(made, tmp_path)
    assert sorted(read) == list(range(IMAGES))
    folders = [Store(tmp_path).folder(made[-1]) for made in (first, second)]
    assert bytes_of(folders[0] / "unet") != bytes_of(folders[1] / "unet")
    assert set(read_manifest(folders[0])["inputs"]) == {"captions"}, "the key does not depend on them"


def test_what_the_latents_depend_on_is_in_their_key(world: Path, tmp_path: Path) -> None:
    same = {"lr": 1e-5, "epochs": 3, "use_ema": False}
    other = ({"resolution_px": 16}, {"random_flip": False}, {"batch": 2})
    keys = [tasks(world, tmp_path, replace(CACHED, **changes))[1].key for changes in ({}, same, *other)]
    assert keys[0] == keys[1] and len(set(keys)) == 4


def test_counts_and_another_device_are_noted_by_the_fine_tuning(world: Path, tmp_path: Path) -> None:
    captions, latents, weights = tasks(world, tmp_path, CACHED)
    make([captions, latents], tmp_path)
    folder = Store(tmp_path).folder(latents)
    (folder / NOTES).write_text('{"batches split": 2}', encoding="utf-8")
    manifest = folder / "manifest.json"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace('"gpu": null', '"gpu": "H200"'), encoding="utf-8"
    )
    made = make([weights], tmp_path)
    assert read_notes(made) == {
        "batches split": 2,
        "fine-tuning from latents of another type of device, H200": 1,
    }


def test_latents_are_checked_and_made_only_for_a_missing_fine_tuning(world: Path, tmp_path: Path) -> None:
    made = tasks(world, tmp_path, CACHED)
    latents, weights = made[1], made[-1]
    folder = make(made, tmp_path)
    store = Store(tmp_path)
    plan: Any = SimpleNamespace(tasks=made, goal=weights, until="finetune")
    assert remaining.missing(plan, store) == []
    file = store.folder(latents) / "latents.npy"
    file.write_bytes(file.read_bytes()[:-1])
    assert remaining.find_damage(plan, store, force=False) == []
    (folder / "README.md").unlink()
    with pytest.raises(UvlpError):
        remaining.find_damage(plan, store, force=False)
    assert names(remaining.find_damage(plan, store, force=True)) == ["weights", "features"]
    assert names(remaining.missing(plan, store)) == ["features", "weights"]
    make(made, tmp_path)
    store.remove(latents)
    assert remaining.missing(plan, store) == remaining.find_damage(plan, store, force=True) == []


def names(found: Sequence[Task]) -> list[str]:
    return [task.kind for task in found]


def test_a_wrong_side_is_refused(world: Path, tmp_path: Path) -> None:
    made = tasks(world, tmp_path, replace(CACHED, resolution_px=36))
    with pytest.raises(UvlpError) as refused:
        make(made[:2], tmp_path)
    assert (refused.value.what, refused.value.allowed) == (
        "setting finetune.resolution_px",
        "a multiple of 8",
    )
