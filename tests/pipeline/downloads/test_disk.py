"""A disk is refused exactly if it is certainly too small."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.estimates.recipes import paper, planned
from uvlp.core.errors import UvlpError
from uvlp.core.files.downloads import Download
from uvlp.pipeline.downloads import disk
from uvlp.pipeline.downloads.disk import Wanted
from uvlp.pipeline.downloads.transfers import Transfer
from uvlp.pipeline.estimates.assumptions import PUBLISHED
from uvlp.pipeline.estimates.least import least
from uvlp.recipes.schema import FinetuneSettings, ModelSettings, Recipe

IMAGES, CLASSES = 9469, 10
HERE: Any = object()
MODELS = Transfer(
    part="clip",
    download=Download(what="CLIP", urls=(), bytes=0, disk_bytes=0),
    folder=Path(),
    command="",
    run=lambda progress: None,
)
UNET, REST = PUBLISHED["parameters"]["unet"], PUBLISHED["parameters"]["vae"] + PUBLISHED["parameters"]["text"]


def sizes(recipe: Recipe, *, dataset_here: bool = True) -> dict[str, tuple[int, int]]:
    """Return permanent and temporary bytes by the title of a task, before any model is present."""
    plan = planned(recipe)
    if dataset_here:  # its models are missing
        plan = replace(plan, dataset=HERE, transfers=(MODELS,))
    return {task.title: least(task, plan) for task in plan.tasks}


def test_minimum_disk_usage_of_the_papers_run() -> None:
    found = sizes(paper(seeds=(0,)))
    cells = 4 * 64 * 64
    assert found["fine-tuned Stable Diffusion, seed 0"] == (4 * (UNET + REST), 4 * 4 * UNET)
    assert found["latents for fine-tuning"] == (IMAGES * 2 * 2 * 2 * cells, 0)
    assert found["features of images"] == (IMAGES * (768 * 4 + 2 * 2 * cells), 0)
    assert found["features of texts"] == (IMAGES * 768 * 4, 0)
    assert found["test images at 224 px"] == (3925 * 3 * 224 * 224, 0)
    assert found["uvlp prototypes, seed 0"] == (100 * 4 * cells, 0)
    assert found["uvlp images, seed 0"] == (100 * 3 * 512 * 512 // 1032, 0)


@pytest.mark.parametrize(
    ("changes", "temporary"),
    [
        ({"cache_latents": False, "center_crop": False}, 4 * 4 * UNET),
        ({"cache_latents": False, "use_ema": False}, 3 * 4 * UNET),
        ({"cache_latents": False, "checkpointing_steps": 593}, 0),
        (
            {"cache_latents": False, "checkpointing_steps": 100, "checkpoints_total_limit": 1},
            2 * 4 * 4 * UNET,
        ),
        (
            {"cache_latents": False, "checkpointing_steps": 100, "checkpoints_total_limit": 9},
            5 * 4 * 4 * UNET,
        ),
    ],
)
def test_temporary_disk_usage_of_finetuning(changes: dict[str, object], temporary: int) -> None:
    """There are 8 x 74 updates."""
    recipe = paper(seeds=(0,), finetune=FinetuneSettings(**changes))  # type: ignore[arg-type]
    assert sizes(recipe)["fine-tuned Stable Diffusion, seed 0"][1] == temporary


def test_latents_without_mirror_images_take_half() -> None:
    found = sizes(paper(seeds=(0,), finetune=FinetuneSettings(random_flip=False)))
    assert found["latents for fine-tuning"] == (IMAGES * 2 * 2 * 4 * 64 * 64, 0)


def test_uncertain_sizes_are_not_counted() -> None:
    others = ModelSettings(diffusion="some/sd", clip="hf-hub:some/clip")
    assert {
        kept + temporary for kept, temporary in sizes(paper(models=others), dataset_here=False).values()
    } <= {
        0,
        100 * 3 * 512 * 512 // 1032,
    }


def test_space_of_unfinished_artifacts_is_not_counted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 1_000_000)
    unfinished = tmp_path / "partial" / "features-0"
    unfinished.mkdir(parents=True)
    with (unfinished / "sparse").open("wb") as file:
        file.truncate(10**9)
    wanted = [Wanted("features", tmp_path / "store", 2_000_000, (unfinished.parent,))]
    with pytest.raises(UvlpError) as caught:
        disk.check(wanted, "make room")
    assert (caught.value.got, caught.value.allowed, caught.value.fix) == (
        f"1.0 MB free in {tmp_path}",
        "2.0 MB or more",
        "make room",
    )
    (unfinished / "mean.npy").write_bytes(os.urandom(1_000_000))
    disk.check(wanted, "make room")


def test_needs_on_one_disk_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 1_000_000)
    one, other = (Wanted(name, tmp_path / name, 600_000) for name in ("CLIP", "features"))
    disk.check([one], "")
    with pytest.raises(UvlpError) as caught:
        disk.check([one, other], "")
    assert caught.value.allowed == "1.2 MB or more" and "CLIP, features" in caught.value.what
