"""Amount of work of one training of a test network, from the protocol's schedule."""

from __future__ import annotations

from dataclasses import dataclass

PIXELS_PER_PASS = 1 << 24
"""Pixels that pass through a network at once on a GPU where a method may divide them."""
FORWARD, TO_PIXELS, INVERSION, SECOND_ORDER = 0.7, 1.45, 1.7, 3.1
"""Most that an image has in memory at once, as a multiple of what a training step keeps of it: a pass without
gradients; forward and backward; the same with the distances of batch-norm statistics; the gradient of a
gradient. Counted from the layers of ConvNets and ResNets at 32 to 224 px
(`tests/pipeline/estimates/test_activations.py`)."""


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
