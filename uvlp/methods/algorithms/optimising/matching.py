"""Distribution matching (evaluation.md 5; Zhao & Bilen 2023)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def mean_matching_loss(classes: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Sum over classes of the squared distance between the two feature means, a scalar.

    Args:
        classes: per class the features of real [R,D] and of synthetic images [S,D], at least one class; only
            the synthetic ones receive a gradient.
    """
    return torch.stack(
        [(real.detach().mean(0) - synthetic.mean(0)).square().sum() for real, synthetic in classes]
    ).sum()
