"""What each step of the fine-tuning sees: order of the images, random draws, pixels (methods.md B.2).

Everything follows from seed, epoch and batch, so a run that goes on after a kill, or on more GPUs, sees the
same.
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
    """Images that are averaged together, over all processes.

    Attributes:
        epoch: from 0.
        number: position in the epoch, from 0.
        rows: int64 [n], training images.
    """

    epoch: int
    number: int
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The batches of one step of the optimiser; ``step`` counts from 1 over all epochs."""

    step: int
    epoch: int
    batches: tuple[Batch, ...]
    ends_epoch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The random numbers of ``n`` images.

    Attributes:
        flip: bool [n], whether to mirror.
        place: float32 [n, 2], where a random crop lies, vertical and horizontal, in [0, 1).
        posterior, noise: float32 [n, 4, h, w], standard normal.
        times: int64 [n], uniform over the training timesteps.
    """

    flip: Tensor
    place: Tensor
    posterior: Tensor
    noise: Tensor
    times: Tensor

    def pick(self, which: slice) -> Draws:
        """Those of some of the images."""
        return Draws(**{name: getattr(self, name)[which] for name in self.__slots__})


def updates_per_epoch(images: int, settings: FinetuneSettings) -> int:
    """ceil(ceil(images / batch) / accumulation), as the published script counts."""
    return math.ceil(math.ceil(images / settings.batch) / settings.accumulation)


def updates(images: int, settings: FinetuneSettings, seed: int, done: int) -> Iterator[Update]:
    """The updates after the first ``done`` ones; the last of an epoch may have fewer batches."""
    every = updates_per_epoch(images, settings)
    for epoch in range(done // every, settings.epochs):
        order = numpy_generator(seed, "finetune", "order", epoch).permutation(images)
        rows = [order[start : start + settings.batch] for start in range(0, images, settings.batch)]
        batches = [Batch(epoch=epoch, number=number, rows=part) for number, part in enumerate(rows)]
        for place in range(every):
            step = epoch * every + place + 1
            first = place * settings.accumulation
            mine = tuple(batches[first : first + settings.accumulation])
            if step > done:
                yield Update(step=step, epoch=epoch, batches=mine, ends_epoch=place == every - 1)


def draw(
    batch: Batch, seed: int, latent: tuple[int, int, int], timesteps: int, settings: FinetuneSettings
) -> Draws:
    """The draws of a batch whose latents have the shape ``latent``; the same on every device."""
    generator = torch_generator(seed, "finetune", "draws", batch.epoch, batch.number)
    count = len(batch.rows)
    flip = torch.rand(count, generator=generator) < (0.5 if settings.random_flip else 0.0)
    place = torch.rand((count, 2), generator=generator)
    times = torch.randint(timesteps, (count,), generator=generator)
    posterior = torch.randn((count, *latent), generator=generator)
    noise = torch.randn((count, *latent), generator=generator)
    return Draws(flip=flip, place=place, posterior=posterior, noise=noise, times=times)


def share(count: int, process: int, processes: int) -> slice:
    """The part of ``count`` images that falls to one process; parts differ by one image at most."""
    return slice(count * process // processes, count * (process + 1) // processes)


def pixels(
    image: NDArray[np.uint8], side_px: int, place: Sequence[float] | None = None, flip: bool = False
) -> NDArray[np.uint8]:
    """uint8 [3, side, side] of an image [H, W, 3]: shorter side resized (bilinear, antialiased), cropped.

    Args:
        place: of the crop, each coordinate in [0, 1); None: the centre.
    """
    from PIL import Image
    from torchvision.transforms import functional
    from torchvision.transforms.functional import InterpolationMode

    small = functional.resize(Image.fromarray(image), side_px, InterpolationMode.BILINEAR)
    if place is None:
        small = functional.center_crop(small, side_px)
    else:
        top, left = (
            int(u * (long - side_px + 1)) for u, long in zip(place, (small.height, small.width), strict=True)
        )
        small = functional.crop(small, top, left, side_px, side_px)
    found = np.asarray(small)
    return np.ascontiguousarray((found[:, ::-1] if flip else found).transpose(2, 0, 1))


def to_unit(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Bytes to [-1, 1]."""
    return ((images.float() / 255 - 0.5) / 0.5).to(dtype)
