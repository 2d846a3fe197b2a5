"""Schedule and image order of FKD, soft-label matching as in D4M and SRe2L (evaluation.md 5.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

ORDER_SEED = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Published schedule of a student trained on stored soft labels.

    Attributes:
        epochs: passes over the distilled set.
        lr: learning rate of the first epoch.
        batch: images per stored batch.
        temperature: divisor of the logits of teacher and student.
        validation_period: epochs between validations.
    """

    epochs: int = 300
    lr: float = 0.001
    batch: int = 1024
    temperature: float = 20.0
    validation_period: int = 50

    def learning_rate(self, epoch: int) -> float:
        """Return the learning rate of the 0-based ``epoch``: half a cosine, 0 just after the last epoch."""
        return self.lr * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))

    def validated_epochs(self) -> tuple[int, ...]:
        """Return the 0-based epochs after which to validate: the first, then every period, and the last."""
        return tuple(sorted({*range(0, self.epochs, self.validation_period), self.epochs - 1}))


def epoch_orders(count: int, seed: int = ORDER_SEED) -> Iterator[Tensor]:
    """Yield the order int64 [count] of each epoch, the same for relabelling and training.

    As torch's `RandomSampler`, which draws a second, unused permutation per epoch (for a number of
    samples that is not a multiple of ``count``).
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        order, _ = (torch.randperm(count, generator=generator) for _ in range(2))
        yield order
