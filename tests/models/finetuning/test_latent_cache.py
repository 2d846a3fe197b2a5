"""Cached posteriors: values, resuming, and losses equal to those without a cache."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.flipping import flip
from tests.models.finetuning.finetuning_jobs import SIDE_PX, job, make_world
from tests.models.finetuning.test_job import losses
from tests.tolerances import rounding
from uvlp.artifacts.parts.parts import SPLITS, Plan, Share
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.models.finetuning.job import run
from uvlp.models.finetuning.latent_cache import LatentCache, parts_in

LATENT = (4, 2, 2)
PLAN = Plan(items=7, batch=2, size=3, device="cpu", dtype="float32")
IMAGES = torch.arange(7 * 3 * 4 * 4, dtype=torch.uint8).reshape(7, 3, 4, 4)


def encode(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values that distinguish an image from its mirror image and mean from deviation."""
    mean = images[:, :1, ::2, ::2].float().expand(-1, 4, -1, -1)
    return mean, mean / 2 + 1


def load(rows: Sequence[int]) -> torch.Tensor:
    return IMAGES[list(rows)]


def opened(
    folder: Path, messages: list[str] | None = None, *, mirrored: bool = True, plan: Plan = PLAN
) -> LatentCache:
    return LatentCache(folder, plan, mirrored=mirrored, log=([] if messages is None else messages).append)


def filled(folder: Path, mirrored: bool = True) -> LatentCache:
    cache = opened(folder, mirrored=mirrored)
    cache.fill(cache.missing(Share()), load, encode, Progress())
    return cache


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mirrored", [True, False])
def test_each_image_and_its_mirror_image_are_read_back(tmp_path: Path, mirrored: bool) -> None:
    cache = filled(tmp_path, mirrored)
    assert cache.missing(Share()) == []
    rows = np.array([6, 0, 3, 3])
    flip = np.array([True, False, True, False]) & mirrored
    found = cache.read(rows, flip)
    assert found.dtype == torch.float16 and found.shape == (4, 2, *LATENT)
    for got, row, side in zip(found, rows, flip, strict=True):
        image = IMAGES[row : row + 1]
        mean, deviation = encode(image.flip(-1) if side else image)
        assert torch.equal(got.float(), torch.stack([mean[0], deviation[0]]))


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_share_the_parts_and_only_missing_ones_are_encoded_again(
    tmp_path: Path, processes: int
) -> None:
    def interrupted(rows: Sequence[int]) -> torch.Tensor:
        if 5 in rows:
            raise KeyboardInterrupt
        return load(rows)

    folder = tmp_path / "weights-1"
    cache = opened(folder)
    with pytest.raises(KeyboardInterrupt):
        cache.fill(cache.missing(Share()), interrupted, encode, Progress())
    assert opened(folder).missing(Share()) == [range(3, 6), range(6, 7)]
    for process in reversed(range(processes)):
        part = opened(folder)
        part.fill(part.missing(Share(process, processes)), load, encode, Progress())
    (tmp_path / "other").mkdir()
    filled(tmp_path / "other" / "weights-1")
    assert contents(folder) == contents(tmp_path / "other" / "weights-1")


@pytest.mark.parametrize("name", ["latents.npy", "mark.json"])
@pytest.mark.parametrize("share", [0.43, 0.6, None])
def test_a_damaged_part_is_encoded_again(tmp_path: Path, name: str, share: float | None) -> None:
    filled(tmp_path)
    before, path = contents(tmp_path), tmp_path / "parts/00000003" / name
    flip(path, share) if share is not None else path.write_bytes(path.read_bytes()[:-1])
    messages: list[str] = []
    cache = opened(tmp_path, messages)
    missing = cache.missing(Share())
    assert missing == [range(3, 6)] and len(messages) == 1 and "item 4" in messages[0]
    cache.fill(missing, load, encode, Progress())
    assert contents(tmp_path) == before


def test_a_batch_that_does_not_fit_into_memory_is_split_and_counted(tmp_path: Path) -> None:
    sizes: list[int] = []

    def limited(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(len(images))
        if sizes == [2]:
            raise torch.OutOfMemoryError
        return encode(images)

    cache = opened(tmp_path / "1")
    cache.fill(cache.missing(Share()), load, limited, Progress())
    filled(tmp_path / "2")
    assert sizes[:5] == [2, 1, 1, 1, 1]
    assert parts_in(tmp_path / "1", print).counts() == {SPLITS: 1}
    for name in ("00000000", "00000003", "00000006"):
        path = Path("parts", name, "latents.npy")
        assert (tmp_path / "1" / path).read_bytes() == (tmp_path / "2" / path).read_bytes()


def test_a_cache_of_another_device_is_refused_and_kept(tmp_path: Path) -> None:
    cache = opened(tmp_path, plan=replace(PLAN, device="NVIDIA H200"))
    cache.fill([range(3)], load, encode, Progress())
    with pytest.raises(UvlpError) as caught:
        opened(tmp_path)
    assert (caught.value.got, caught.value.allowed) == ("NVIDIA H200, float32", "cpu, float32")
    assert (tmp_path / "parts/00000000/latents.npy").is_file()


def test_too_little_disk_space_is_detected_before_encoding(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        opened(tmp_path).check_space([range(10**12)], LATENT)
    assert "cache_latents=false" in str(caught.value.fix)


def test_cached_latents_give_the_same_losses(tmp_path: Path) -> None:
    """Per step up to float16 rounding, hence the same mean and variance."""
    world = make_world(tmp_path / "world")
    changes = {"epochs": 5, "checkpointing_steps": 500, "lr": 1e-4}
    run(job(world, tmp_path / "encoded", **changes), Progress())
    with_cache = job(world, tmp_path / "cached", **changes)
    run(replace(with_cache, settings=replace(with_cache.settings, cache_latents=True)), Progress())
    encoded, cached = (np.array(losses(tmp_path / name / "folder")) for name in ("encoded", "cached"))
    assert len(encoded) == 10 and not np.array_equal(encoded, cached)
    # Mean and deviation of a latent are rounded once each. The error of a mean of ten is smaller, because
    # roundings cancel; that of a variance is twice the deviation of the losses times their error.
    bound = rounding(2, torch.float16)
    assert cached == pytest.approx(encoded, rel=bound)
    assert cached.mean() == pytest.approx(encoded.mean(), rel=bound / 10**0.5)
    error = 2 * encoded.std() * bound * encoded.mean()
    assert cached.var() == pytest.approx(encoded.var(), rel=0, abs=error)
    latents = np.load(tmp_path / "cached/partial/parts/00000000/latents.npy", mmap_mode="r")
    assert latents.shape == (10, 2, 2, 4, SIDE_PX // 8, SIDE_PX // 8) and latents.dtype == np.float16
    shutil.rmtree(tmp_path / "cached")
