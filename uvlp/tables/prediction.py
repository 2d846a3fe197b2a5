"""Where further trainings of a cell fall, by those that it has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev


def prediction_interval_pct(
    values_pct: Sequence[float], level: float, further: int = 1
) -> tuple[float, float] | None:
    """The interval of the mean of ``further`` accuracies with probability 1 - ``level``, 0 to 100 percent.

    Mean ± t s sqrt(1/m + 1/n) of n normal values for the mean of m others (Hahn and Meeker, *Statistical
    Intervals*, 1991, chapter 4).

    Returns:
        None where there are fewer than two values, or no spread: nothing is known of a further one then.
    """
    from scipy.special import stdtrit

    n = len(values_pct)
    if n < 2 or min(values_pct) == max(values_pct):
        return None
    half = float(stdtrit(n - 1, 1 - level / 2)) * stdev(values_pct) * math.sqrt(1 / further + 1 / n)
    mean = fmean(values_pct)
    return max(0.0, mean - half), min(100.0, mean + half)
