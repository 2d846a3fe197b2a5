"""Posterior mean and standard deviation of every training image and its mirror image, on disk.

A step that samples from the cached posterior of the image or its mirror image has the same distribution of
losses as one that encodes the image (methods.md B.2): the encoder is frozen and uses no other randomness.
They depend on nothing else, so all fine-tunings on the same images read the same ones.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uvlp.artifacts.features import LATENTS
from uvlp.artifacts.parts import arrays
from uvlp.artifacts.parts.parts import SPLITS, Parts, Plan
from uvlp.core.files.disk_space import check_space
from uvlp.core.prefetch import in_background
from uvlp.core.progress import Progress
from uvlp.models.batches import in_halves
from uvlp.models.device import send
from uvlp.models.finetuning.data import Draws, to_unit
from uvlp.models.finetuning.parts import moments

AHEAD = 2  # maximum number of batches decoded in advance
BLOCK = 256  # images per part; the last batch of a part may be smaller
MOMENTS = 2

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]
"""uint8 [n, 3, S, S] -> mean and standard deviation, each [n, 4, h, w], not scaled."""


def encoder(vae: Any, device: str | torch.device, dtype: torch.dtype) -> Encode:
    """Return a function that encodes images with an autoencoder of diffusers on its device."""
    return lambda images: moments(vae, to_unit(send(images, device), dtype))


def check_disk(folder: Path, images: int, sides: int, latent: tuple[int, int, int]) -> None:
    """Check that so many images with latents [4, h, w] of one or two sides fit on the disk of a folder.

    Raises:
        UvlpError: they do not.
    """
    fix = "free some space, choose another folder with --store, or encode in every epoch: "
    fix += "--set finetune.cache_latents=false"
    values = images * sides * MOMENTS * int(np.prod(latent))
    check_space("the latents of the training images", folder, values * np.dtype(np.float16).itemsize, fix)


def fill(
    parts: Parts,
    plan: Plan,
    missing: Sequence[range],
    sides: int,
    load: Callable[[Sequence[int]], Tensor],
    encode: Encode,
    progress: Progress,
) -> None:
    """Encode the images of missing parts: arrays `LATENTS`, float16 [n, sides, 2, 4, h, w].

    Args:
        sides: 2: also the mirror images.
        load: returns uint8 [n, 3, S, S] of given rows.
    """
    batches = [rows for part in missing for rows in plan.batches(part)]
    # The next images are decoded while the GPU encodes the current ones.
    tracked = progress.track(in_background(map(load, batches), AHEAD), "batches", total=len(batches))
    for part in missing:
        with parts.making(part, plan) as unfinished:
            counts, of_part = unfinished.counts, itertools.islice(tracked, len(plan.batches(part)))
            made = ({LATENTS: _encoded(images, sides, encode, counts, progress.log)} for images in of_part)
            arrays.write_batches(unfinished.folder, len(part), made)
    next(tracked, None)  # reports the end


def _encoded(
    images: Tensor, sides: int, encode: Encode, counts: Counter[str], log: Callable[[str], None]
) -> NDArray[np.float16]:
    def of_rows(rows: Sequence[int]) -> NDArray[np.float16]:
        some = images[rows[0] : rows[-1] + 1]
        stacked = torch.stack([torch.stack(encode(side), 1) for side in [some, some.flip(-1)][:sides]], 1)
        return stacked.to("cpu", torch.float16).numpy()

    halves = in_halves(of_rows, range(len(images)), log)
    counts[SPLITS] += len(halves) - 1
    return np.concatenate(halves)


class Stored:
    """`Inputs` of the training loop from the folder of the artifact."""

    def __init__(self, folder: Path) -> None:
        self._stored = arrays.read(folder, LATENTS)

    def __call__(self, rows: NDArray[np.int64], draws: Draws) -> Tensor:
        """Return float16 [n, 2, 4, h, w]: mean and deviation of each row, of its mirror image if flipped."""
        pairs = zip(rows, draws.flip.tolist(), strict=True)
        return torch.from_numpy(np.stack([self._stored[int(row)][int(side)] for row, side in pairs]))
