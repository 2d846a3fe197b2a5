"""Schedule and order of soft-label matching, FKD as D4M and SRe2L use it (evaluation.md 5.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

ORDER_SEED = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Published training of a student on stored soft labels.

    Attributes:
        epochs: passes over the distilled set.
        lr: learning rate of the first epoch.
        batch: images per stored batch.
        temperature: divides teacher's and student's logits.
        validation_period: epochs from one validation to the next.
    """

    epochs: int = 300
    lr: float = 0.001
    batch: int = 1024
    temperature: float = 20.0
    validation_period: int = 50

    def learning_rate(self, epoch: int) -> float:
        """Learning rate of the 0-based ``epoch``: one half cosine, which would reach 0 after the last."""
        return self.lr * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))

    def validated_epochs(self) -> tuple[int, ...]:
        """0-based epochs after which to validate: every period from the first on, and the last."""
        return tuple(sorted({*range(0, self.epochs, self.validation_period), self.epochs - 1}))


def epoch_orders(count: int, seed: int = ORDER_SEED) -> Iterator[Tensor]:
    """Orders int64 [count] of one epoch after another, equal for relabelling and training.

    Those of torch's `RandomSampler`: it draws a second permutation per epoch, for the rest of a
    number of samples above ``count``, and here drops it.
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        order, _ = (torch.randperm(count, generator=generator) for _ in range(2))
        yield order
