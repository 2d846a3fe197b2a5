"""CLIP features and VAE moments of the same images, a batch at a time, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from uvlp.models.autoencoder import Autoencoder
from uvlp.models.batches import in_batches
from uvlp.models.device import arithmetic
from uvlp.models.embedder import Embedder

PIXELS = {"cpu": 512 * 512, "cuda": 2**23}
"""At once. The published autoencoder takes about a GB of memory for those of a CPU; its largest maps have 128
channels, and from 2^31 numbers on a GPU's kernels need other indices, which not all of them have."""

Prepared = tuple[torch.Tensor, torch.Tensor]
"""uint8 [(B,) H, W, 3] for the autoencoder, and float32 [(B,) 3, side, side] for CLIP."""


class ImageEncoder:
    """Both models on one device.

    Args:
        embedder: CLIP, which computes in float32 as published (methods.md A.3).
        autoencoder: the VAE, in its own number type (methods.md A.4).
        device: where both lie.
        stored: number type in which moments are kept.
        log: called with one line when a batch had to be halved.
    """

    def __init__(
        self,
        embedder: Embedder,
        autoencoder: Autoencoder,
        device: str,
        stored: torch.dtype,
        log: Callable[[str], None],
    ) -> None:
        self._embedder, self._autoencoder = embedder, autoencoder
        self._device, self._stored, self._log = device, stored, log
        self._fitting: int | None = None

    def prepare(self, image: NDArray[np.uint8]) -> Prepared:
        """What both models read of an image [H, W, 3]; safe to call from several threads."""
        return torch.from_numpy(image), self._embedder.preprocess(image)

    def join(self, images: Sequence[Prepared]) -> Prepared:
        """One batch, in memory from which a GPU can fetch it while it computes."""
        pixels, clip = (torch.stack(part) for part in zip(*images, strict=True))
        return (pixels.pin_memory(), clip.pin_memory()) if self._device == "cuda" else (pixels, clip)

    def encode(self, batch: Prepared) -> dict[str, NDArray[np.floating]]:
        """`image` [B, D] with unit rows, `mean` and `deviation` [B, 4, h, w] of the scaled latents.

        Never more than `PIXELS` at once: a CPU gains nothing from more but fills the host's memory. Where a
        GPU has too little memory the batch is halved, and stays so.
        """
        count, height, width = batch[0].shape[:3]
        if self._fitting is None:
            self._fitting = max(1, PIXELS[self._device] // (height * width))
        at_once = self._fitting
        made = list(in_batches(lambda rows: self._encode(batch, rows), range(count), at_once, self._log))
        if len(made) > 1:
            self._fitting = min(len(rows) for rows, _ in made[:-1])
        return {name: np.concatenate([arrays[name] for _, arrays in made]) for name in made[0][1]}

    def _encode(self, batch: Prepared, rows: Sequence[int]) -> dict[str, NDArray[np.floating]]:
        pixels, clip = (part[rows[0] : rows[-1] + 1] for part in batch)
        # The bits do not change from run to run: kernels are not chosen by trying.
        with arithmetic(self._device, "float32", deterministic=True):
            mean, deviation = self._autoencoder.moments(pixels)
            found = {
                "image": self._embedder.encode(clip),
                "mean": mean.to(self._stored),
                "deviation": deviation.to(self._stored),
            }
            return {name: tensor.cpu().numpy() for name, tensor in found.items()}
