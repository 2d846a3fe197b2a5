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
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.models.finetuning import latent_cache
from uvlp.models.finetuning.job import run
from uvlp.models.finetuning.latent_cache import LatentCache

LATENT = (4, 2, 2)
IMAGES = torch.arange(7 * 3 * 4 * 4, dtype=torch.uint8).reshape(7, 3, 4, 4)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_cache, "BLOCK", 3)


def encode(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values that distinguish an image from its mirror image and mean from deviation."""
    mean = images[:, :1, ::2, ::2].float().expand(-1, 4, -1, -1)
    return mean, mean / 2 + 1


def load(rows: Sequence[int]) -> torch.Tensor:
    return IMAGES[list(rows)]


def filled(folder: Path, mirrored: bool = True) -> LatentCache:
    cache = LatentCache(folder, len(IMAGES), LATENT, mirrored=mirrored)
    cache.open(print)
    cache.fill(cache.missing(), load, encode, 2, Progress())
    return cache


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("mirrored", [True, False])
def test_each_image_and_its_mirror_image_are_read_back(tmp_path: Path, mirrored: bool) -> None:
    cache = filled(tmp_path, mirrored)
    assert cache.missing() == []
    rows = np.array([6, 0, 3, 3])
    flip = np.array([True, False, True, False]) & mirrored
    found = cache.read(rows, flip)
    assert found.dtype == torch.float16 and found.shape == (4, 2, *LATENT)
    for got, row, side in zip(found, rows, flip, strict=True):
        image = IMAGES[row : row + 1]
        mean, deviation = encode(image.flip(-1) if side else image)
        assert torch.equal(got.float(), torch.stack([mean[0], deviation[0]]))


@pytest.mark.usefixtures("small_blocks")
def test_only_incomplete_blocks_are_encoded_again_and_processes_share_them(tmp_path: Path) -> None:
    cache = LatentCache(tmp_path, len(IMAGES), LATENT, mirrored=True)
    cache.open(print)

    def interrupted(rows: Sequence[int]) -> torch.Tensor:
        if 5 in rows:
            raise KeyboardInterrupt
        return load(rows)

    with pytest.raises(KeyboardInterrupt):
        cache.fill(cache.missing(), interrupted, encode, 2, Progress())
    cache.open(print)
    assert cache.missing() == [range(3, 6), range(6, 7)]
    assert cache.missing(0, 2) == [range(3, 6)] and cache.missing(1, 2) == [range(6, 7)]
    for process in (0, 1):
        todo = LatentCache(tmp_path, len(IMAGES), LATENT, mirrored=True)
        todo.fill(todo.missing(0, 2 - process), load, encode, 2, Progress())
    (tmp_path / "other").mkdir()
    filled(tmp_path / "other")
    assert (tmp_path / "latents.float16").read_bytes() == (tmp_path / "other/latents.float16").read_bytes()


def test_a_truncated_file_is_reported_and_rebuilt(tmp_path: Path) -> None:
    filled(tmp_path)
    file = tmp_path / "latents.float16"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    messages: list[str] = []
    cache = LatentCache(tmp_path, len(IMAGES), LATENT, mirrored=True)
    cache.open(messages.append)
    assert len(messages) == 1 and "damaged" in messages[0]
    assert cache.missing() == [range(7)]
    cache.fill(cache.missing(), load, encode, 2, Progress())
    assert file.read_bytes() == content


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ["latents.float16", "latents-done/00000003"])
@pytest.mark.parametrize("share", [0.43, 0.6])
def test_a_block_with_a_flipped_bit_is_encoded_again(tmp_path: Path, name: str, share: float) -> None:
    filled(tmp_path)
    content = (tmp_path / "latents.float16").read_bytes()
    flip(tmp_path / name, share)
    messages: list[str] = []
    cache = LatentCache(tmp_path, len(IMAGES), LATENT, mirrored=True)
    cache.open(messages.append)
    assert len(messages) == 1 and messages[0].startswith("cached latents 4 to 6 are damaged")
    assert cache.missing() == [range(3, 6)]
    cache.fill(cache.missing(), load, encode, 2, Progress())
    assert (tmp_path / "latents.float16").read_bytes() == content


@pytest.mark.usefixtures("small_blocks")
def test_blocks_without_hashes_are_encoded_again(tmp_path: Path) -> None:
    """As in caches of earlier versions."""
    filled(tmp_path)
    (tmp_path / "latents-done/00000003").write_bytes(b"")
    messages: list[str] = []
    cache = LatentCache(tmp_path, len(IMAGES), LATENT, mirrored=True)
    cache.open(messages.append)
    assert len(messages) == 1 and cache.missing() == [range(3, 6)]


def test_too_little_disk_space_is_detected_before_encoding(tmp_path: Path) -> None:
    huge = LatentCache(tmp_path, 10**12, LATENT, mirrored=True)
    with pytest.raises(UvlpError) as caught:
        huge.open(print)
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
    expected = 10 * 2 * 2 * 4 * (SIDE_PX // 8) ** 2 * 2
    assert (tmp_path / "cached/partial/latents.float16").stat().st_size == expected
    shutil.rmtree(tmp_path / "cached")
