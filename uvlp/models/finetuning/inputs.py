"""Inputs of the training loop: images from the dataset's files, or cached latents."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uvlp.artifacts.dataset import Dataset
from uvlp.artifacts.parts.parts import Plan, Share
from uvlp.core import machine
from uvlp.core.progress import Progress
from uvlp.models.device import dtype_name, send
from uvlp.models.finetuning.data import Draws, pixels, to_unit
from uvlp.models.finetuning.latent_cache import BLOCK, LatentCache
from uvlp.models.finetuning.loop import Inputs
from uvlp.models.finetuning.parts import Parts
from uvlp.recipes.schema import FinetuneSettings

DECODERS = 16
"""Number of threads that resize and crop."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """`Inputs` from the dataset's files, decoded batch by batch."""

    dataset: Dataset
    settings: FinetuneSettings
    pool: ThreadPoolExecutor

    def __call__(self, rows: NDArray[np.int64], draws: Draws | None) -> torch.Tensor:
        """Return uint8 [n, 3, S, S]; without draws the centre crop, not flipped."""
        side_px = self.settings.resolution_px
        crops: Sequence[Any] = [None] * len(rows)
        if draws is not None and not self.settings.center_crop:
            crops = draws.crop.tolist()
        flips = [False] * len(rows) if draws is None else draws.flip.tolist()
        originals = self.dataset.originals("train", [int(row) for row in rows])
        images = self.pool.map(pixels, originals, [side_px] * len(rows), crops, flips)
        return torch.from_numpy(np.stack(list(images)))


def stored(
    partial: Path,
    source: Pixels,
    parts: Parts,
    accelerator: Any,
    settings: FinetuneSettings,
    images: int,
    progress: Progress,
) -> Inputs:
    """Encode all images that are not cached, each process its share; return inputs from the cache."""
    device = machine.gpu_name() if accelerator.device.type == "cuda" else None
    plan = Plan(
        items=images,
        batch=settings.batch,
        size=BLOCK,
        device=device or "cpu",
        dtype=dtype_name(parts.dtype),
    )
    mirrored = settings.random_flip
    if accelerator.is_main_process:
        # Damaged parts are reported once, before the processes divide them.
        cache = LatentCache(partial, plan, mirrored=mirrored, log=progress.log)
        cache.check_space(cache.missing(Share()), parts.latent)
    accelerator.wait_for_everyone()
    cache = LatentCache(partial, plan, mirrored=mirrored, log=progress.log)
    mine = cache.missing(Share(accelerator.process_index, accelerator.num_processes))

    def encode(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return parts.moments(to_unit(send(images, accelerator.device), parts.dtype))

    cache.fill(mine, lambda rows: source(np.asarray(rows), None), encode, progress)
    accelerator.wait_for_everyone()
    return lambda rows, draws: cache.read(rows, draws.flip.numpy())
