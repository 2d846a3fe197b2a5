"""Criteria of the parity study: 95 % intervals of a difference of means and of a ratio of variances."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
from scipy import stats

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2

Interval = tuple[float, float]


def difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, Interval]:
    """Difference of the means, first minus second, with Welch's interval (variances may differ)."""
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(LEVEL)
    return float(numpy.mean(first) - numpy.mean(second)), (float(interval.low), float(interval.high))


def variance_ratio(first: Sequence[float], second: Sequence[float]) -> float:
    """Ratio of the sample variances (ddof 1), first over second."""
    return float(numpy.var(first, ddof=1) / numpy.var(second, ddof=1))


def f_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Interval of the variance ratio for normal samples (F distribution)."""
    ratio, law = variance_ratio(first, second), stats.f(len(first) - 1, len(second) - 1)
    return ratio / float(law.ppf(1 - TAIL)), ratio / float(law.ppf(TAIL))


def robust_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Interval of the variance ratio without normality: Bonett 2006, doi 10.1177/0146621605279551.

    Normal quantiles on the logarithm; the standard error follows from the kurtosis of both samples
    together, taken around their trimmed means. Exact in the sense of a test of equal variances.
    """
    quantile = float(stats.norm.ppf(1 - TAIL))
    samples = [numpy.asarray(sample, dtype=float) for sample in (first, second)]
    counts = numpy.asarray([len(sample) for sample in samples])
    fourth = sum(((sample - _trimmed_mean(sample)) ** 4).sum() for sample in samples)
    squares = sum(((sample - sample.mean()) ** 2).sum() for sample in samples)
    kurtosis = counts.sum() * fourth / squares**2
    error = math.sqrt(((kurtosis - (counts - 3) / counts) / (counts - 1)).sum())
    correction = counts / (counts - quantile)
    centre = math.log(variance_ratio(first, second) * correction[0] / correction[1])
    return math.exp(centre - quantile * error), math.exp(centre + quantile * error)


def _trimmed_mean(sample: numpy.ndarray) -> float:
    return float(stats.trim_mean(sample, 1 / (2 * math.sqrt(len(sample) - 4))))
