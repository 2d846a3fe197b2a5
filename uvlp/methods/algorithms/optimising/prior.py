"""What GLaD needs of a generative prior (Cazenavette et al. 2023, section 3)."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn.functional import interpolate

from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.protocols.training.augment import normalise

CHUNK = 10
"""Images that are decoded with gradients at once, as published."""


class Prior(Protocol):
    """A generator that is split after one of its layers; both leaves are optimised."""

    def latents(self, inputs: MethodInput) -> Tensor:
        """Return the first latents, [C * ipc, ...], class after class."""

    def features(self, latents: Tensor) -> Tensor:
        """Return the first features, [C * ipc, channels, h, w], of these latents."""

    def render(self, latents: Tensor, features: Tensor) -> Tensor:
        """Return normalised images [n, 3, size_px, size_px], differentiable in both."""


def rendered(pixels: Tensor, size_px: int) -> Tensor:
    """Return decoded images, about [-1, 1], resized and normalised for networks."""
    if pixels.shape[-1] != size_px:
        pixels = interpolate(pixels, (size_px, size_px), mode="bilinear", antialias=True, align_corners=False)
    return normalise((pixels + 1) * 127.5)
