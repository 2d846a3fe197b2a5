"""Cached posteriors: values, resuming, and losses equal to those without a cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.flipping import flip
from tests.models.finetuning.finetuning_jobs import SIDE_PX, job, make_world, with_latents
from tests.models.finetuning.test_job import losses
from tests.tolerances import rounding
from uvlp.artifacts.features import LATENTS
from uvlp.artifacts.parts import arrays
from uvlp.artifacts.parts.parts import SPLITS, Parts, Plan, Share
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.models.finetuning.job import run
from uvlp.models.finetuning.latent_cache import Encode, Stored, check_disk, fill

LATENT = (4, 2, 2)
PLAN = Plan(items=7, batch=2, size=3, device="cpu", dtype="float32")
ALL = Share()
IMAGES = torch.arange(7 * 3 * 4 * 4, dtype=torch.uint8).reshape(7, 3, 4, 4)


def encode(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values that distinguish an image from its mirror image and mean from deviation."""
    mean = images[:, :1, ::2, ::2].float().expand(-1, 4, -1, -1)
    return mean, mean / 2 + 1


def load(rows: Sequence[int]) -> torch.Tensor:
    return IMAGES[list(rows)]


def opened(folder: Path, messages: list[str] | None = None, plan: Plan = PLAN) -> Parts:
    parts = Parts(folder, "latents", ([] if messages is None else messages).append)
    parts.begin(plan)
    return parts


def make(
    parts: Parts, share: Share = ALL, *, sides: int = 2, load: Any = load, encode: Encode = encode
) -> None:
    fill(parts, PLAN, parts.missing(PLAN, share), sides, load, encode, Progress())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("sides", [2, 1])
def test_each_image_and_its_mirror_image_are_read_back(tmp_path: Path, sides: int) -> None:
    parts = opened(tmp_path)
    make(parts, sides=sides)
    assert parts.missing(PLAN, Share()) == []
    arrays.publish([parts.folder(part.start) for part in PLAN.parts(Share())], tmp_path, [LATENTS])
    rows = np.array([6, 0, 3, 3])
    flips = np.array([True, False, True, False]) & (sides == 2)
    draws: Any = SimpleNamespace(flip=torch.from_numpy(flips))
    found = Stored(tmp_path)(rows, draws)
    assert found.dtype == torch.float16 and found.shape == (4, 2, *LATENT)
    for got, row, side in zip(found, rows, flips, strict=True):
        image = IMAGES[row : row + 1]
        mean, deviation = encode(image.flip(-1) if side else image)
        assert torch.equal(got.float(), torch.stack([mean[0], deviation[0]]))


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_jobs_share_the_parts_and_only_missing_ones_are_encoded_again(tmp_path: Path, jobs: int) -> None:
    def interrupted(rows: Sequence[int]) -> torch.Tensor:
        if 5 in rows:
            raise KeyboardInterrupt
        return load(rows)

    folder = tmp_path / "shared"
    with pytest.raises(KeyboardInterrupt):
        make(opened(folder), load=interrupted)
    assert opened(folder).missing(PLAN, Share()) == [range(3, 6), range(6, 7)]
    for number in reversed(range(jobs)):
        make(opened(folder), Share(number, jobs, publishes=False))
    make(opened(tmp_path / "alone"))
    assert contents(folder) == contents(tmp_path / "alone")


@pytest.mark.parametrize("name", ["latents.npy", "mark.json"])
@pytest.mark.parametrize("share", [0.43, 0.6, None])
def test_a_damaged_part_is_encoded_again(tmp_path: Path, name: str, share: float | None) -> None:
    make(opened(tmp_path))
    before, path = contents(tmp_path), tmp_path / "parts/00000003" / name
    flip(path, share) if share is not None else path.write_bytes(path.read_bytes()[:-1])
    messages: list[str] = []
    parts = opened(tmp_path, messages)
    missing = parts.missing(PLAN, Share())
    assert missing == [range(3, 6)] and len(messages) == 1 and "item 4" in messages[0]
    make(parts)
    assert contents(tmp_path) == before


def test_a_batch_that_does_not_fit_into_memory_is_split_and_counted(tmp_path: Path) -> None:
    sizes: list[int] = []

    def limited(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(len(images))
        if sizes == [2]:
            raise torch.OutOfMemoryError
        return encode(images)

    split = opened(tmp_path / "1")
    make(split, encode=limited)
    make(opened(tmp_path / "2"))
    assert sizes[:5] == [2, 1, 1, 1, 1]
    assert split.counts() == {SPLITS: 1}
    for name in ("00000000", "00000003", "00000006"):
        path = Path("parts", name, "latents.npy")
        assert (tmp_path / "1" / path).read_bytes() == (tmp_path / "2" / path).read_bytes()


def test_parts_of_another_device_are_refused_and_kept(tmp_path: Path) -> None:
    made = replace(PLAN, device="NVIDIA H200")
    fill(opened(tmp_path, plan=made), made, [range(3)], 2, load, encode, Progress())
    with pytest.raises(UvlpError) as caught:
        opened(tmp_path)
    assert (caught.value.got, caught.value.allowed) == ("NVIDIA H200, float32", "cpu, float32")
    assert (tmp_path / "parts/00000000/latents.npy").is_file()


def test_too_little_disk_space_is_detected_before_encoding(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        check_disk(tmp_path, 10**12, 2, LATENT)
    assert "cache_latents=false" in str(caught.value.fix)


def test_cached_latents_give_the_same_losses(tmp_path: Path) -> None:
    """Per step up to float16 rounding, hence the same mean and variance."""
    world = make_world(tmp_path / "world")
    changes = {"epochs": 5, "checkpointing_steps": 500, "lr": 1e-4}
    run(job(world, tmp_path / "encoded", **changes), Progress())
    cached_job = with_latents(job(world, tmp_path / "cached", **changes))
    run(cached_job, Progress())
    encoded, cached = (np.array(losses(tmp_path / name / "folder")) for name in ("encoded", "cached"))
    assert len(encoded) == 10 and not np.array_equal(encoded, cached)
    # Mean and deviation of a latent are rounded once each. The error of a mean of ten is smaller, because
    # roundings cancel; that of a variance is twice the deviation of the losses times their error.
    bound = rounding(2, torch.float16)
    assert cached == pytest.approx(encoded, rel=bound)
    assert cached.mean() == pytest.approx(encoded.mean(), rel=bound / 10**0.5)
    error = 2 * encoded.std() * bound * encoded.mean()
    assert cached.var() == pytest.approx(encoded.var(), rel=0, abs=error)
    latents = np.load(Path(cached_job.latents, "latents.npy"), mmap_mode="r")
    assert latents.shape == (10, 2, 2, 4, SIDE_PX // 8, SIDE_PX // 8) and latents.dtype == np.float16
