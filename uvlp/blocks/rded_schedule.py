"""Learning rates and validation epochs of the RDED protocol (evaluation.md 3.4 and 3.5)."""

from __future__ import annotations

import math

SCHEDULES = ("half-cosine", "linear")


def learning_rate(epoch: int, epochs: int, lr: float, schedule: str) -> float:
    """Learning rate of the 1-based ``epoch`` of ``epochs``.

    "half-cosine" is the first half of a cosine arch, so it ends near ``lr`` / 2 (quirk Q24); "linear"
    ends near 0.
    """
    assert schedule in SCHEDULES, schedule
    done = (epoch - 1) / epochs
    return lr * (1 - done) if schedule == "linear" else lr * 0.5 * (1 + math.cos(math.pi * done / 2))


def validated_epochs(epochs: int, period: int, start: float) -> tuple[int, ...]:
    """1-based epochs after which to validate: every ``period``-th after the share ``start``, and the last.

    The reference validates never if there are fewer than six epochs; here the last one always counts.
    """
    late = (epoch for epoch in range(period, epochs, period) if epoch - 1 > start * epochs)
    return (*late, epochs)
