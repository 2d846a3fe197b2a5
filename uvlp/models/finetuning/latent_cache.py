"""Posterior mean and standard deviation of every training image and its mirror image, on disk.

A step that samples from the cached posterior of the image or its mirror image has the same distribution of
losses as one that encodes the image (methods.md B.2): the encoder is frozen and uses no other randomness.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uvlp.artifacts.parts import arrays
from uvlp.artifacts.parts.arrays import PartedArray
from uvlp.artifacts.parts.parts import SPLITS, Parts, Plan, Share
from uvlp.core.files.disk_space import check_space
from uvlp.core.prefetch import in_background
from uvlp.core.progress import Progress
from uvlp.models.batches import in_halves

AHEAD = 2  # maximum number of batches decoded in advance
BLOCK = 256  # images per part; the last batch of a part may be smaller
MOMENTS, NAME = 2, "latents"

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]
"""uint8 [n, 3, S, S] -> mean and standard deviation, each [n, 4, h, w], not scaled."""


def parts_in(partial: Path, log: Callable[[str], None]) -> Parts:
    """Return the parts of the cache in the folder of an unfinished fine-tuning."""
    return Parts(partial, partial.name, log)


class LatentCache:
    """float16 [images, sides, 2, 4, h, w], made in parts that several processes share.

    Args:
        partial: folder of the unfinished fine-tuning.
        plan: of the parts; the recorded one is followed.
        mirrored: also store the mirror images.
        log: called with a line about damaged parts.

    Raises:
        UvlpError: the parts were made on another device, or belong to another artifact.
    """

    def __init__(self, partial: Path, plan: Plan, *, mirrored: bool, log: Callable[[str], None]) -> None:
        self._partial, self._sides = partial, 2 if mirrored else 1
        self._parts = parts_in(partial, log)
        self._plan = self._parts.begin(plan)

    def missing(self, share: Share) -> list[range]:
        """Return the parts of a share that are missing or damaged."""
        return self._parts.missing(self._plan, share)

    def check_space(self, missing: Sequence[range], latent: tuple[int, int, int]) -> None:
        """Check that missing parts with latents [4, h, w] fit on the disk.

        Raises:
            UvlpError: they do not.
        """
        values = sum(map(len, missing)) * self._sides * MOMENTS * int(np.prod(latent))
        fix = "free some space, choose another folder with --store, or encode in every epoch: "
        fix += "--set finetune.cache_latents=false"
        needed = values * np.dtype(np.float16).itemsize
        check_space("the latents of the training images", self._partial, needed, fix)

    def fill(
        self,
        missing: Sequence[range],
        load: Callable[[Sequence[int]], Tensor],
        encode: Encode,
        progress: Progress,
    ) -> None:
        """Encode the images of missing parts; ``load`` returns uint8 [n, 3, S, S] of given rows."""
        batches = [rows for part in missing for rows in self._plan.batches(part)]
        # The next images are decoded while the GPU encodes the current ones.
        loaded = in_background(map(load, batches), AHEAD)
        tracked = progress.track(loaded, "batches of latents", total=len(batches))
        for part in missing:
            with self._parts.making(part, self._plan) as unfinished:
                counts, of_part = unfinished.counts, itertools.islice(tracked, len(self._plan.batches(part)))
                made = ({NAME: self._encoded(images, encode, counts, progress.log)} for images in of_part)
                arrays.write_batches(unfinished.folder, len(part), made)
        next(tracked, None)  # reports the end

    def _encoded(
        self, images: Tensor, encode: Encode, counts: Counter[str], log: Callable[[str], None]
    ) -> NDArray[np.float16]:
        def moments(rows: Sequence[int]) -> NDArray[np.float16]:
            some = images[rows[0] : rows[-1] + 1]
            sides = [some, some.flip(-1)][: self._sides]
            stacked = torch.stack([torch.stack(encode(side), 1) for side in sides], 1)
            return stacked.to("cpu", torch.float16).numpy()

        halves = in_halves(moments, range(len(images)), log)
        counts[SPLITS] += len(halves) - 1
        return np.concatenate(halves)

    @cached_property
    def _stored(self) -> PartedArray:
        folders = [self._parts.folder(part.start) for part in self._plan.parts(Share())]
        return PartedArray([folder / f"{NAME}.npy" for folder in folders])

    def read(self, rows: NDArray[np.int64], flip: NDArray[np.bool_]) -> Tensor:
        """Return float16 [n, 2, 4, h, w]: mean and deviation of each row, of its mirror image if ``flip``."""
        pairs = zip(rows, flip, strict=True)
        return torch.from_numpy(np.stack([self._stored[int(row)][int(side)] for row, side in pairs]))
