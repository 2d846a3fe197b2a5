"""Amount of work of one training of a test network, from the protocol's schedule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One training.

    Attributes:
        epochs: passes over the training images.
        images: training images.
        batch: images per step; the last one of an epoch may be smaller.
        validations: passes over the validation images.
    """

    epochs: int
    images: int
    batch: int
    validations: int

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return self.epochs * -(-self.images // self.batch)

    @property
    def seen(self) -> int:
        """Training images, counted in every epoch."""
        return self.epochs * self.images
