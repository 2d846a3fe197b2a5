"""StyleGAN-XL as a generative prior, split after one of its layers (evaluation.md 5, GLaD).

The leaves are the latents of all layers (w+) and the whole feature map after layer L; the latents of the
layers up to L act on nothing else, and keep their first values.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from uvlp.core.seeds import torch_generator
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.methods.algorithms.optimising.prior import CHUNK, rendered
from uvlp.models.device import arithmetic
from uvlp.models.stylegan_xl import generator

LARGEST = 10.0
"""Magnitude to which the first features are clipped (GLaD repository)."""


class StyleGanPrior:
    """A `Prior`: a StyleGAN-XL without gradients of its weights, in float32.

    Args:
        folder: of the model; `models.stylegan_xl`.
        device: "cpu" or "cuda".
        layer: the features are those after this many layers.
        size_px: side to which images are resized.
    """

    def __init__(self, folder: Path, device: str, *, layer: int, size_px: int) -> None:
        self._generator = generator.load(folder).to(device)
        self._device, self._layer, self._size_px = device, layer, size_px

    @torch.no_grad()
    def latents(self, inputs: MethodInput) -> Tensor:
        """Return the latents of random vectors, one per image, as published; the same for every layer."""
        random, labels = [], []
        for data, label in zip(inputs.classes, inputs.labels, strict=True):
            for slot in range(inputs.ipc):
                own = torch_generator(inputs.seed, "glad", "latents", data.id, slot)
                random.append(torch.randn(self._generator.sizes.z_dim, generator=own))
                labels.append(label)
        drawn, classes = torch.stack(random).to(self._device), torch.tensor(labels, device=self._device)
        latents: Tensor = self._generator.mapping(drawn, classes)
        return latents[:, None].repeat(1, self._generator.latents, 1)

    @torch.no_grad()
    def features(self, latents: Tensor) -> Tensor:
        """Return the feature maps of the latents, clipped."""
        with arithmetic(self._device, "tf32", deterministic=True):
            maps = [self._generator.features(part, self._layer) for part in latents.split(CHUNK)]
        return torch.cat(maps).clamp(-LARGEST, LARGEST)

    def render(self, latents: Tensor, features: Tensor) -> Tensor:
        """Return the images of latents and features."""
        return rendered(self._generator.images(features, latents, self._layer), self._size_px)
