"""Whether a measured accuracy reproduces a published one: Welch's interval of the difference of two means.

The published side is a mean and a standard deviation; if its number of trainings is not stated, `ASSUMED_N`
is used. Only the errors of the means enter: both sides are scored on the same test images, whose binomial
error is stated beside a verdict but not added to it.

Source: B. L. Welch, "The generalization of 'Student's' problem when several different population variances
are involved", Biometrika 34, 1947; degrees of freedom of Satterthwaite, Biometrics 2, 1946.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from uvlp.tables.published import Published

ASSUMED_N = 3
"""Number of trainings of a published cell, if its source does not state it."""
ASSUMED_DDOF = 0
"""Of a published standard deviation, if its source does not state it: the default of numpy and Minimax."""
HALF_WIDTH = 2.0
"""Percentage points; a wider interval that contains 0 is inconclusive."""
MOST_FURTHER = 1000
LEVEL = 0.05

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
CANNOT_TELL = "cannot tell"
NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Measured minus published, percentage points.

    Attributes:
        kind: one of the four constants above.
        points: difference of the means.
        low_points, high_points: its 95 % interval; None if there is none.
        further: additional trainings needed for a decision, if mean and spread stay the same; None if none
            are needed, or if no number is enough.
        reason: why it is not comparable or inconclusive, else empty.
    """

    kind: str
    points: float
    low_points: float | None = None
    high_points: float | None = None
    further: int | None = None
    reason: str = ""

    def show(self) -> str:
        """Format one line, e.g. "-0.4 (-1.5 to +0.7) points: reproduced"."""
        interval = ""
        if self.low_points is not None and self.high_points is not None:
            interval = f" ({self.low_points:+.1f} to {self.high_points:+.1f})"
        more = f"; about {self.further} further trainings would decide" if self.further else ""
        reason = f", {self.reason}" if self.reason else ""
        return f"{self.points:+.1f}{interval} points: {self.kind}{reason}{more}"


@dataclass(frozen=True, slots=True)
class _Side:
    """A mean, the variance of its independent values (ddof 1), and their number."""

    mean: float
    variance: float
    n: int


def judge(
    values_pct: Sequence[float], seeds: Sequence[int], published: Published, why_not: str = ""
) -> Verdict:
    """Return the verdict on the accuracies of trainings, percent.

    Args:
        values_pct: best accuracy of every training.
        seeds: seed of every training; with two or more seeds their means are independent, see `uncertainty`.
        published: the published cell.
        why_not: why they cannot be compared, e.g. different test images; "" if they can.
    """
    points = fmean(values_pct) - published.mean_pct
    if why_not:
        return Verdict(kind=NOT_COMPARABLE, points=points, reason=why_not)
    independent = _independent(values_pct, seeds)
    if len(independent) < 2:
        reason = "one training has no spread"
        return Verdict(kind=CANNOT_TELL, points=points, further=1, reason=reason)
    measured = _Side(fmean(values_pct), variance(independent), len(independent))
    reference = _published_side(published)
    half = _half_width(measured, reference)
    kind = _kind(points, half)
    further, reason = None, ""
    if kind == CANNOT_TELL:
        units = _further(points, measured, reference)
        further = units and units * len(values_pct) // len(independent)
        reason = (
            "" if units else "and no number of trainings would decide: the published ones spread too much"
        )
    return Verdict(
        kind=kind,
        points=points,
        low_points=points - half,
        high_points=points + half,
        further=further,
        reason=reason,
    )


def _independent(values: Sequence[float], seeds: Sequence[int]) -> list[float]:
    of_seed: dict[int, list[float]] = {}
    for value, seed in zip(values, seeds, strict=True):
        of_seed.setdefault(seed, []).append(value)
    return [fmean(each) for each in of_seed.values()] if len(of_seed) > 1 else list(values)


def _published_side(published: Published) -> _Side:
    n = published.n or ASSUMED_N
    ddof = ASSUMED_DDOF if published.ddof is None else published.ddof
    return _Side(published.mean_pct, published.std_pct**2 * (n - ddof) / (n - 1), n)


def published_interval_pct(published: Published) -> tuple[float, float]:
    """95 % interval of the mean of a published cell, Student's t over the trainings assumed behind it."""
    from scipy.special import stdtrit

    side = _published_side(published)
    half = float(stdtrit(side.n - 1, 1 - LEVEL / 2)) * math.sqrt(side.variance / side.n)
    return side.mean - half, side.mean + half


def _half_width(one: _Side, other: _Side) -> float:
    """Return half the width of Welch's 95 % interval; 0 if neither side has a spread."""
    from scipy.special import stdtrit

    parts = [side.variance / side.n for side in (one, other)]
    if not sum(parts):
        return 0.0
    freedom = sum(parts) ** 2 / sum(
        part**2 / (side.n - 1) for part, side in zip(parts, (one, other), strict=True)
    )
    return float(stdtrit(freedom, 1 - LEVEL / 2)) * math.sqrt(sum(parts))


def _kind(points: float, half: float) -> str:
    if abs(points) > half:
        return NOT_REPRODUCED
    return REPRODUCED if half <= HALF_WIDTH else CANNOT_TELL


def _further(points: float, measured: _Side, published: _Side) -> int | None:
    """Return the additional independent values needed for a verdict; None if no number is enough."""
    for more in range(1, MOST_FURTHER + 1):
        larger = _Side(measured.mean, measured.variance, measured.n + more)
        if _kind(points, _half_width(larger, published)) != CANNOT_TELL:
            return more
    return None
