"""Golden-section maximiser with the evaluation points of both references (methods.md A.14)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

Version = Literal["notebook", "package"]
"""Which reference to follow: `notebook` is the code behind the published numbers."""

GOLDEN_RATIO = (1 + math.sqrt(5)) / 2


def maximise(
    objective: Callable[[float], float],
    low: float,
    high: float,
    tolerance: float = 1e-3,
    *,
    max_rounds: int = 40,
    version: Version = "notebook",
) -> float:
    """Return the midpoint of the last bracket around a local maximum, never an end of the interval.

    Ties keep the right part (`notebook`) or the left part (`package`); `max_rounds` only bounds the
    notebook's version, which also runs one round if the interval is within the tolerance.
    """
    if version == "notebook":
        low, high = min(low, high), max(low, high)
        if math.isclose(low, high):
            return (low + high) / 2
    rounds = _rounds(low, high, tolerance, max_rounds, version)
    left, right = high - (high - low) / GOLDEN_RATIO, low + (high - low) / GOLDEN_RATIO
    left_value, right_value = objective(left), objective(right)
    for _ in range(rounds):
        # Written so that NaN takes the same branch as in the reference.
        keep_left = left_value > right_value if version == "notebook" else not left_value < right_value
        if keep_left:
            high, right, right_value = right, left, left_value
            left = high - (high - low) / GOLDEN_RATIO
            left_value = objective(left)
        else:
            low, left, left_value = left, right, right_value
            right = low + (high - low) / GOLDEN_RATIO
            right_value = objective(right)
        if abs(high - low) <= tolerance:
            break
    return (low + high) / 2


def _rounds(low: float, high: float, tolerance: float, max_rounds: int, version: Version) -> int:
    """The number of rounds after which the bracket is within the tolerance."""
    width = abs(high - low)
    if width <= tolerance:
        return 1 if version == "notebook" else 0
    if version == "notebook" and tolerance <= 0:
        return max_rounds
    needed = math.ceil(math.log(tolerance / width) / math.log(1 / GOLDEN_RATIO))
    # The package has no cap and tests the width itself; one extra round allows for rounding.
    return min(needed, max_rounds) if version == "notebook" else needed + 1
