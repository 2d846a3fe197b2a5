"""Uncertainty of accuracies and of differences of accuracies.

Mean of trainings: Student's t. Trainings of one seed share their distilled images, so with two or
more seeds the seed means are independent; with one seed the repeats are, and the interval then
covers only training noise. In balanced designs this is the exact interval of the nested
random-effects model (Searle, Casella and McCulloch, *Variance Components*, 1992, chapter 3).

Difference of two methods: trainings and test images are both samples, crossed with each other, as
readers and cases are in medical imaging. The analysis of variance is that of Dorfman, Berbaum and
Metz (Investigative Radiology 27, 1992); the degrees of freedom follow Hillis (Statistics in Medicine
26, 2007), with the image term of Satterthwaite (Biometrics 2, 1946) added.

Legend: U units (seeds or repeats), N images, d [U,N] differences of correctness; a, b, e mean
squares of units, images and residual.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from uvlp.artifacts.scores import Score
from uvlp.artifacts.tables import Summary
from uvlp.core.errors import UvlpError

LEVEL = 0.05
DDOF = 1
CANNOT_TELL = "cannot tell"
MOST_UNITS = 1000
"""Upper limit of seeds or repeats considered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """First method minus second, percentage points.

    Attributes:
        points: mean difference.
        low_points, high_points: 95 % confidence interval over new trainings and new test images.
        p_value: two-sided, for no difference.
        pairs: pairs of trainings.
        basis: "seeds" or "repeats", taken as independent; "images" for one pair, where the noise of
            training is unknown and the interval applies only to these two trained networks.
        variances: of one independent training, and of the mean over the test images, which no further
            training makes smaller; points squared. None for one pair.
    """

    points: float
    low_points: float
    high_points: float
    p_value: float
    pairs: int
    basis: str
    variances: tuple[float, float] | None = None


def summarise(values_pct: Sequence[float], seeds: Sequence[int], images: int) -> Summary:
    """Return mean, deviation and intervals of accuracies of trainings with ``seeds`` on ``images`` images."""
    values = numpy.asarray(values_pct, dtype=float)
    mean = float(values.mean())
    independent, basis = _independent(values[:, None], seeds)
    low, high = _mean_interval(independent[:, 0]) if basis else (None, None)
    wilson_low, wilson_high = wilson_interval_pct(mean, images)
    return Summary(
        mean_pct=mean,
        std_pct=float(values.std(ddof=DDOF)) if len(values) > 1 else None,
        ddof=DDOF,
        trainings=len(values),
        low_pct=low,
        high_pct=high,
        basis=basis,
        binomial_error_points=binomial_error_points(mean, images),
        wilson_low_pct=wilson_low,
        wilson_high_pct=wilson_high,
    )


def _independent(rows: NDArray[numpy.float64], seeds: Sequence[int]) -> tuple[NDArray[numpy.float64], str]:
    """Return the rows [trainings, ...] that are independent, and what they are.

    These are the seed means for two or more seeds, else the trainings; "" if there is only one.
    """
    assert len(rows) == len(seeds) > 0, "one seed per training"
    of_seed = numpy.asarray(seeds)
    distinct = numpy.unique(of_seed)
    if len(distinct) > 1:
        return numpy.stack([rows[of_seed == seed].mean(axis=0) for seed in distinct]), "seeds"
    return rows, "repeats" if len(rows) > 1 else ""


def _mean_interval(values: NDArray[numpy.float64]) -> tuple[float, float]:
    """Return Student's t interval of the mean of independent accuracies, clipped to 0 and 100 %."""
    low, high = _student_interval(values)
    return max(0.0, low), min(100.0, high)


def mean_interval_of(values: Sequence[float], seeds: Sequence[int]) -> tuple[float, float] | None:
    """Return Student's t interval of the mean of one value per training; None for a single one."""
    independent, basis = _independent(numpy.asarray(values, dtype=float)[:, None], seeds)
    return _student_interval(independent[:, 0]) if basis else None


def _student_interval(values: NDArray[numpy.float64]) -> tuple[float, float]:
    half = _quantile(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    mean = float(values.mean())
    return mean - half, mean + half


def _quantile(freedom: float) -> float:
    """Return the two-sided critical value of Student's t at LEVEL."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - LEVEL / 2))


def binomial_error_points(accuracy_pct: float, images: int) -> float:
    """Return the standard error of an accuracy as an estimate for new images, in percentage points."""
    share = accuracy_pct / 100
    return 100 * math.sqrt(share * (1 - share) / images)


def wilson_interval_pct(accuracy_pct: float, images: int) -> tuple[float, float]:
    """Return the 95 % score interval of an accuracy, percent (Wilson, JASA 22, 1927); not empty at 100 %."""
    z = _quantile(math.inf)
    share = accuracy_pct / 100
    middle = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    half = z * math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2)) / (1 + z**2 / images)
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


def differences(pairs: Sequence[tuple[Score, Score]], which: str) -> NDArray[numpy.float64]:
    """Return d [pairs, images]: 1 if only the first of a pair is correct, -1 if only the second, else 0.

    Args:
        pairs: scores of two methods, trained with equal seed, repeat and network.
        which: "best" or "last", the validation pass that is compared.

    Raises:
        UvlpError: the scores are for different validation images.
    """
    assert pairs, "nothing to compare"
    sets = dict.fromkeys(validation(score) for pair in pairs for score in pair)
    if len(sets) > 1:
        raise UvlpError(
            "scores on different validation sets cannot be compared image by image",
            got=" and ".join(sets),
            fix="score both on the same validation images",
        )
    return numpy.stack([_bits(first, which) - _bits(second, which) for first, second in pairs])


def validation(score: Score) -> str:
    """Return the validation set of a score with its size, e.g. "digits test (490 images)"."""
    return f"{score.validation_set} ({score.validation_images} images)"


def _bits(score: Score, which: str) -> NDArray[numpy.float64]:
    """Return 0 or 1 per validation image, float [N]."""
    packed = numpy.frombuffer(bytes.fromhex(getattr(score, f"correct_{which}")), dtype=numpy.uint8)
    bits = numpy.unpackbits(packed)
    assert len(packed) == math.ceil(score.validation_images / 8), "one bit per validation image"
    return bits[: score.validation_images].astype(float)


def compare(d: NDArray[numpy.float64], seeds: Sequence[int]) -> Difference:
    """Return the mean of d [pairs, images] with an interval for new trainings and new test images.

    The variance of the mean is (a + b - e) / (U N), never below the larger of a / (U N) and b / (U N).

    Args:
        d: differences of correctness, one row per pair.
        seeds: seed of each pair; pairs of one seed share their distilled images.

    Raises:
        UvlpError: fewer than two images.
    """
    if d.shape[1] < 2:
        raise UvlpError("too few validation images for a comparison", got=d.shape[1], allowed="2 or more")
    from scipy.special import stdtr

    independent, basis = _independent(d, seeds)
    mean = float(independent.mean())
    error, freedom = _crossed(independent) if basis else _images_alone(independent[0])
    half = _quantile(freedom) * error
    return Difference(
        points=100 * mean,
        low_points=100 * max(-1.0, mean - half),
        high_points=100 * min(1.0, mean + half),
        p_value=float(2 * stdtr(freedom, -abs(mean) / error)),
        pairs=len(d),
        basis=basis or "images",
        variances=_parts(independent) if basis else None,
    )


def _images_alone(d: NDArray[numpy.float64]) -> tuple[float, float]:
    """Return standard error and degrees of freedom of the mean of d [N] over images."""
    N = len(d)
    return math.sqrt(_image_square_sum(d) / (N - 1) / N), N - 1


def _image_square_sum(means: NDArray[numpy.float64]) -> float:
    """Return the sum of squared deviations of the image means, plus one.

    One corresponds to half an added image per method that only this method classifies correctly: the
    adjusted Wald interval of matched proportions (Agresti and Min, Statistics in Medicine 24, 2005).
    Without it, networks that agree on all test images would count as proven equal, and very few
    disagreements as a difference.
    """
    return float(((means - means.mean()) ** 2).sum()) + 1


def _crossed(d: NDArray[numpy.float64]) -> tuple[float, float]:
    """Return standard error and degrees of freedom of the mean of d [U,N] over units and images."""
    U, N = d.shape
    a, b, e = _mean_squares(d)
    total = max(a + b - e, a, b)
    return math.sqrt(total / (U * N)), total**2 / (a**2 / (U - 1) + b**2 / (N - 1))


def _parts(d: NDArray[numpy.float64]) -> tuple[float, float]:
    """Variance of one unit's mean, and of the mean over images; points squared."""
    U, N = d.shape
    a, b, e = _mean_squares(d)
    return 100**2 * a / N, 100**2 * max(b - e, 0.0) / (U * N)


def _mean_squares(d: NDArray[numpy.float64]) -> tuple[float, float, float]:
    """a, b and e of d [U,N]."""
    U, N = d.shape
    mean, by_unit, by_image = d.mean(), d.mean(axis=1), d.mean(axis=0)
    a = N * float(((by_unit - mean) ** 2).sum()) / (U - 1)
    b = U * _image_square_sum(by_image) / (N - 1)
    residual = d - by_unit[:, None] - by_image + mean
    e = float((residual**2).sum()) / ((U - 1) * (N - 1))
    return a, b, e


def trainings_that_decide(difference: Difference, units: int, level: float) -> int | None:
    """Return the number of trainings that makes an inconclusive difference significant if it stays the same.

    Args:
        difference: the difference.
        units: number of its independent pairs.
        level: significance level of its p-value, after correction for several methods.

    Returns:
        None for one pair; 0 if the test images alone are too few, or `MOST_UNITS` is not enough.
    """
    if difference.variances is None:
        return None
    from scipy.special import stdtrit

    training, images = difference.variances
    for more in range(units + 1, MOST_UNITS + 1):
        error = math.sqrt(training / more + images)
        if stdtrit(more - 1, 1 - level / 2) * error < abs(difference.points):
            return more * difference.pairs // units
    return 0


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values so that the probability of any false positive is at most the level.

    Step-down correction (Holm, Scandinavian Journal of Statistics 6, 1979), in the given order.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def verdict(points: float, p_value: float) -> str:
    """Return the verdict for a difference with this p-value: "better", "worse" or "cannot tell"."""
    if p_value >= LEVEL:
        return CANNOT_TELL
    return "better" if points > 0 else "worse"
