"""Top-k accuracy, and mean and standard deviation of repeats (evaluation.md 1.9)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


def correct_in_top(logits: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """bool [N]: whether the label is among the ``k`` largest of [N,C] logits."""
    if k == 1:
        return logits.argmax(1) == labels
    largest = logits.topk(min(k, logits.shape[1]), dim=1).indices
    return (largest == labels[:, None]).any(1)


def percent(correct: Tensor) -> float:
    """Share of true values, 0 to 100."""
    return 100 * int(correct.sum()) / len(correct)


def mean_and_deviation(values: Sequence[float], ddof: int = 0) -> tuple[float, float]:
    """Mean and standard deviation; ``ddof`` 0 as the reference prints, 1 for a sample."""
    assert len(values) > ddof, "too few values for a deviation"
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - ddof))
