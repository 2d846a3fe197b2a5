"""Data of each fine-tuning step: order of the images, random draws, pixels (methods.md B.2).

Everything is derived from seed, epoch and batch, so a resumed run, or one on more GPUs, gets the same data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uvlp.core.seeds import numpy_generator, torch_generator
from uvlp.recipes.schema import FinetuneSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Images of one batch, over all processes.

    Attributes:
        epoch: from 0.
        number: index within the epoch, from 0.
        rows: int64 [n], indices of training images.
    """

    epoch: int
    number: int
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The batches of one optimiser step; ``step`` counts from 1 over all epochs.

    All have the same number of images, but for the last one of an epoch.
    """

    step: int
    epoch: int
    batches: tuple[Batch, ...]
    ends_epoch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The random numbers of ``n`` images.

    Attributes:
        flip: bool [n], whether to flip horizontally.
        crop: float32 [n, 2], vertical and horizontal position of a random crop, in [0, 1).
        posterior, noise: float32 [n, 4, h, w], standard normal.
        times: int64 [n], uniform over the training timesteps.
    """

    flip: Tensor
    crop: Tensor
    posterior: Tensor
    noise: Tensor
    times: Tensor

    def pick(self, which: slice) -> Draws:
        """Return the draws of some images."""
        return Draws(**{name: getattr(self, name)[which] for name in self.__slots__})


def joined(draws: Sequence[Draws]) -> Draws:
    """Return the draws of several batches as those of one."""
    return Draws(**{name: torch.cat([getattr(each, name) for each in draws]) for name in Draws.__slots__})


def updates_per_epoch(images: int, settings: FinetuneSettings) -> int:
    """Return ceil(ceil(images / batch) / accumulation), as in the published script."""
    return math.ceil(math.ceil(images / settings.batch) / settings.accumulation)


def updates(images: int, settings: FinetuneSettings, seed: int, done: int) -> Iterator[Update]:
    """Yield the updates after the first ``done``; the last of an epoch may have fewer batches."""
    count = updates_per_epoch(images, settings)
    for epoch in range(done // count, settings.epochs):
        order = numpy_generator(seed, "finetune", "order", epoch).permutation(images)
        rows = [order[start : start + settings.batch] for start in range(0, images, settings.batch)]
        batches = [Batch(epoch=epoch, number=number, rows=part) for number, part in enumerate(rows)]
        for index in range(count):
            step = epoch * count + index + 1
            first = index * settings.accumulation
            accumulated = tuple(batches[first : first + settings.accumulation])
            if step > done:
                yield Update(step=step, epoch=epoch, batches=accumulated, ends_epoch=index == count - 1)


def draw(
    batch: Batch, seed: int, latent: tuple[int, int, int], timesteps: int, settings: FinetuneSettings
) -> Draws:
    """Return the draws of a batch whose latents have the shape ``latent``; the same on every device."""
    generator = torch_generator(seed, "finetune", "draws", batch.epoch, batch.number)
    count = len(batch.rows)
    flip = torch.rand(count, generator=generator) < (0.5 if settings.random_flip else 0.0)
    crop = torch.rand((count, 2), generator=generator)
    times = torch.randint(timesteps, (count,), generator=generator)
    posterior = torch.randn((count, *latent), generator=generator)
    noise = torch.randn((count, *latent), generator=generator)
    return Draws(flip=flip, crop=crop, posterior=posterior, noise=noise, times=times)


def share(count: int, process: int, processes: int) -> slice:
    """Return which of ``count`` images are for one process; numbers differ by at most one."""
    return slice(count * process // processes, count * (process + 1) // processes)


def pixels(
    image: NDArray[np.uint8], side_px: int, crop: Sequence[float] | None = None, flip: bool = False
) -> NDArray[np.uint8]:
    """Resize the shorter side of an image [H, W, 3] (bilinear, antialiased), and crop: uint8 [3, side, side].

    Args:
        crop: position of the crop, each coordinate in [0, 1); None: the centre.
    """
    from PIL import Image
    from torchvision.transforms import functional
    from torchvision.transforms.functional import InterpolationMode

    small = functional.resize(Image.fromarray(image), side_px, InterpolationMode.BILINEAR)
    if crop is None:
        small = functional.center_crop(small, side_px)
    else:
        top, left = (
            int(u * (side - side_px + 1)) for u, side in zip(crop, (small.height, small.width), strict=True)
        )
        small = functional.crop(small, top, left, side_px, side_px)
    array = np.asarray(small)
    return np.ascontiguousarray((array[:, ::-1] if flip else array).transpose(2, 0, 1))


def to_unit(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert bytes to [-1, 1]."""
    return ((images.float() / 255 - 0.5) / 0.5).to(dtype)
