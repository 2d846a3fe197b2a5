"""Compute CLIP features and VAE moments of the same images, batch by batch, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from uvlp.models.autoencoder import Autoencoder
from uvlp.models.batches import in_halves
from uvlp.models.device import arithmetic
from uvlp.models.embedder import Embedder

PIXELS = {"cpu": 512 * 512, "cuda": 2**23}
"""Pixels per batch. On a CPU the published autoencoder takes about a GB of memory for them. Its largest maps
have 128 channels, and on a GPU not all kernels support the 64-bit indices of 2^31 and more values."""

Prepared = tuple[torch.Tensor, torch.Tensor]
"""uint8 [(B,) H, W, 3] for the autoencoder, and float32 [(B,) 3, side, side] for CLIP."""


class ImageEncoder:
    """Both models on one device.

    Args:
        embedder: CLIP, in float32 as published (methods.md A.3).
        autoencoder: the VAE, in its own dtype (methods.md A.4).
        device: of both models.
        stored: dtype of the returned moments.
        log: called with one line when a batch is split.

    Attributes:
        splits: how often a batch was split because it did not fit into memory.
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
        self.splits = 0

    def prepare(self, image: NDArray[np.uint8]) -> Prepared:
        """Return the inputs of both models for an image [H, W, 3]; thread-safe."""
        return torch.from_numpy(image), self._embedder.preprocess(image)

    def join(self, images: Sequence[Prepared]) -> Prepared:
        """Stack images to one batch, for a GPU in pinned memory."""
        pixels, clip = (torch.stack(part) for part in zip(*images, strict=True))
        return (pixels.pin_memory(), clip.pin_memory()) if self._device == "cuda" else (pixels, clip)

    def encode(self, batch: Prepared) -> dict[str, NDArray[np.floating]]:
        """Return `image` [B, D] with unit rows, `mean` and `deviation` [B, 4, h, w] of the scaled latents.

        At most `PIXELS` are encoded at once: on a CPU more would be no faster and take more memory.
        """
        count, height, width = batch[0].shape[:3]
        size = max(1, PIXELS[self._device] // (height * width))
        parts: list[dict[str, NDArray[np.floating]]] = []
        for start in range(0, count, size):
            rows = range(start, min(start + size, count))
            made = in_halves(lambda part: self._encode(batch, part), rows, self._log)
            self.splits += len(made) - 1
            parts += made
        return {name: np.concatenate([arrays[name] for arrays in parts]) for name in parts[0]}

    def _encode(self, batch: Prepared, rows: Sequence[int]) -> dict[str, NDArray[np.floating]]:
        pixels, clip = (part[rows[0] : rows[-1] + 1] for part in batch)
        # Reproducible bit by bit: kernels are not selected by benchmarking.
        with arithmetic(self._device, "float32", deterministic=True):
            mean, deviation = self._autoencoder.moments(pixels)
            tensors = {
                "image": self._embedder.encode(clip),
                "mean": mean.to(self._stored),
                "deviation": deviation.to(self._stored),
            }
            return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
