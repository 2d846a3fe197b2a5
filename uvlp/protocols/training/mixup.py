"""Mixup of a batch without labels (evaluation.md 3.4; Zhang et al. 2018).

Legend: lam of Beta(beta, beta), share of the image itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from torch import Tensor

from uvlp.models.device import send


@dataclass(frozen=True, slots=True)
class Blend:
    """One batch's mix: int64 [n] partners, and the share of the image itself."""

    permutation: Tensor
    lam: float


def draw(generator: numpy.random.Generator, count: int, beta: float, device: str = "cpu") -> Blend:
    """The mix of a batch of ``count`` images."""
    lam = float(generator.beta(beta, beta))
    return Blend(send(generator.permutation(count), device), lam)


def blended(images: Tensor, blend: Blend) -> Tensor:
    """New tensor [n,C,H,W]: lam x + (1 - lam) partner."""
    return blend.lam * images + (1 - blend.lam) * images[blend.permutation]
