"""Pixels of the dataset's files, for the training loop or to encode them once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uvlp.artifacts.dataset import Dataset
from uvlp.models.finetuning.data import Draws, pixels

DECODERS = 16
"""Number of threads that resize and crop."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """`Inputs` from the dataset's files, decoded batch by batch.

    Attributes:
        side_px: side of the images.
        random_crop: whether the draws determine the crop; else the centre.
    """

    dataset: Dataset
    pool: ThreadPoolExecutor
    side_px: int
    random_crop: bool = False

    def __call__(self, rows: Sequence[int] | NDArray[np.int64], draws: Draws | None = None) -> torch.Tensor:
        """Return uint8 [n, 3, S, S]; without draws the centre crop, not flipped."""
        crops: Sequence[Any] = [None] * len(rows)
        if draws is not None and self.random_crop:
            crops = draws.crop.tolist()
        flips = [False] * len(rows) if draws is None else draws.flip.tolist()
        originals = self.dataset.originals("train", [int(row) for row in rows])
        images = self.pool.map(pixels, originals, [self.side_px] * len(rows), crops, flips)
        return torch.from_numpy(np.stack(list(images)))
