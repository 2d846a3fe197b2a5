"""Mix the images of a batch: CutMix with one box (evaluation.md 1.7; Yun et al. 2019), and Mixup without
labels (evaluation.md 3.4; Zhang et al. 2018).

Legend: lam, share of the image itself, from Beta(1,1) for CutMix (before its box is clipped) and from
Beta(beta, beta) for Mixup; ratio, share of the image itself after clipping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from uvlp.models.device import send


@dataclass(frozen=True, slots=True)
class Mix:
    """CutMix of one batch.

    Attributes:
        permutation: int64 [n], the partner whose box image k receives.
        box: x1, y1, x2, y2: rows x1 to x2 and columns y1 to y2 are replaced, ends exclusive.
        ratio: share of the image's own pixels and label.
    """

    permutation: Tensor
    box: tuple[int, int, int, int]
    ratio: float


def box(height_px: int, width_px: int, lam: float, centre: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return x1, y1, x2, y2 around ``centre`` (row, column), clipped to the image."""
    side = float(numpy.sqrt(1.0 - lam))
    half_rows, half_columns = int(height_px * side) // 2, int(width_px * side) // 2
    x, y = centre
    return (
        max(x - half_rows, 0),
        max(y - half_columns, 0),
        min(x + half_rows, height_px),
        min(y + half_columns, width_px),
    )


def kept_share(height_px: int, width_px: int, corners: tuple[int, int, int, int]) -> float:
    """Return the share of pixels outside the box."""
    x1, y1, x2, y2 = corners
    return 1 - (x2 - x1) * (y2 - y1) / (height_px * width_px)


def draw_cutmix(
    generator: numpy.random.Generator, count: int, size_px: int, probability: float, device: str = "cpu"
) -> Mix | None:
    """Draw the CutMix of a batch of ``count`` images; None with probability 1 - ``probability``."""
    if generator.random() >= probability:
        return None
    lam = generator.random()
    row, column = generator.integers(0, size_px, 2).tolist()
    corners = box(size_px, size_px, lam, (row, column))
    return Mix(send(generator.permutation(count), device), corners, kept_share(size_px, size_px, corners))


def mix_(images: Tensor, mix: Mix) -> Tensor:
    """Paste each image's partner into the box, in place; return ``images`` [n,C,H,W]."""
    x1, y1, x2, y2 = mix.box
    # Indexing with a tensor copies, so the pasted pixels are the original ones.
    images[:, :, x1:x2, y1:y2] = images[:, :, x1:x2, y1:y2][mix.permutation]
    return images


def cutmix_loss(logits: Tensor, labels: Tensor, mix: Mix | None, temperature: float = 1.0) -> Tensor:
    """Return the batch mean of ratio CE(own labels) + (1 - ratio) CE(partners' labels); CE without a mix.

    Args:
        logits: [n,C].
        labels: int64 [n], or probabilities float32 [n,C].
        mix: of the batch.
        temperature: T of the softmax of ``logits`` with probabilities. The gradient is that of
            KL(labels || softmax(logits / T)), without a factor T^2, as in the RDED protocol (quirk Q24).
    """
    log_p = torch.log_softmax(logits if temperature == 1.0 else logits / temperature, 1)
    own = _log_likelihood(log_p, labels)
    if mix is None:
        return -own
    partner = _log_likelihood(log_p, labels[mix.permutation])
    return -(mix.ratio * own + (1 - mix.ratio) * partner)


def _log_likelihood(log_p: Tensor, labels: Tensor) -> Tensor:
    """Return the batch mean of ln p of indices [n], or of its expectation under probabilities [n,C]."""
    if labels.ndim == 1:
        return log_p.gather(1, labels[:, None]).mean()
    return (labels * log_p).sum(1).mean()


@dataclass(frozen=True, slots=True)
class Blend:
    """Mixup of one batch: partners int64 [n], and the share of the image itself."""

    permutation: Tensor
    lam: float


def draw_mixup(generator: numpy.random.Generator, count: int, beta: float, device: str = "cpu") -> Blend:
    """Draw the Mixup of a batch of ``count`` images."""
    lam = float(generator.beta(beta, beta))
    return Blend(send(generator.permutation(count), device), lam)


def blended(images: Tensor, blend: Blend) -> Tensor:
    """Return lam x + (1 - lam) partner, a new tensor [n,C,H,W]."""
    return blend.lam * images + (1 - blend.lam) * images[blend.permutation]
