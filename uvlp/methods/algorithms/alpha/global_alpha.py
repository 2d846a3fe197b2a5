"""Global α: a Fisher objective on the sphere over all classes (methods.md A.5, A.6).

Symbols: J(α) = w_inter·n(inter) − w_intra·n(intra) + w_align·n(align) with n the robust normalisation
by median and MAD (median absolute deviation) over seven probes of α; its terms from μ_c centre of class c on
the sphere and τ_c class-name prototype: intra_c = mean(1 − F·μ_c), margin_c = 1 − max over other classes of
μ_c·μ_d, align_c = μ_c·τ_c; r_c mean image-caption cosine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike, NDArray

from uvlp.methods.algorithms.alpha.golden_section import Version, maximise
from uvlp.methods.algorithms.fusion import Direction, Features, Pairs

PROBES = 7
CURVES = ("inter", "intra", "align")
SIGNS = {"inter": 1.0, "intra": -1.0, "align": 1.0}
LOCAL_STEPS = (-0.05, -0.025, 0.0, 0.025, 0.05)
BASE_WEIGHTS = (0.25, 0.50, 0.25)
"""Base weights of inter, intra and align, before scaling by the gaps."""


@dataclass(frozen=True, slots=True)
class Objective:
    """J as a function of α, with its parameters; each dict has the keys of `CURVES`. One call is one pass."""

    classes: Iterable[Pairs]
    names: Features
    weights: dict[str, float]
    medians: dict[str, float]
    deviations: dict[str, float]

    def __call__(self, alpha: float) -> float:
        (values,) = statistics(self.classes, self.names, [alpha])
        return self.of(values)

    def of(self, values: Statistics) -> float:
        """J for the statistics at one α."""
        return sum(SIGNS[curve] * self.weights[curve] * self._normalise(values, curve) for curve in CURVES)

    def _normalise(self, values: Statistics, curve: str) -> float:
        """n(v) in [0, 1]; saturates at five robust standard deviations; 0.5 for NaN."""
        value = getattr(values, curve)
        if math.isnan(value):
            return 0.5
        scaled = 0.5 + 0.1 * (value - self.medians[curve]) / (1.4826 * self.deviations[curve])
        return min(1.0, max(0.0, scaled))


@dataclass(frozen=True, slots=True)
class GlobalAlpha:
    """α_g, the maximiser of J before the local step, and J itself (for a diagnostic grid)."""

    alpha: float
    before_local: float
    objective: Objective


def global_alpha(
    classes: Iterable[Pairs],
    names: ArrayLike,
    *,
    low: float = 0.2,
    high: float = 0.8,
    weights: tuple[float, float, float] = BASE_WEIGHTS,
    version: Version = "notebook",
) -> GlobalAlpha:
    """Search the global fusion weight α_g.

    Args:
        classes: the features of each class, iterated about twenty times, so that an iterable that reads them
            keeps one class in memory; empty ones are omitted.
        names: class-name prototypes τ [C, D].
        low, high: interval of the search.
        weights: base weights of inter, intra, align.
        version: the reference whose probes and tie rule are used.
    """
    objective = fisher_objective(
        classes, numpy.asarray(names, dtype=numpy.float32), low, high, weights, version
    )
    best = maximise(objective, low, high, version=version)
    return GlobalAlpha(_least_spread(classes, objective.names, best, low, high), best, objective)


def split_classes(images: ArrayLike, texts: ArrayLike, sizes: Sequence[int]) -> list[Pairs]:
    """One `Pairs` per class from rows sorted by class."""
    images, texts = numpy.asarray(images), numpy.asarray(texts)
    ends = numpy.cumsum(sizes)
    assert ends[-1] == len(images) == len(texts)
    return [
        Pairs(images[end - size : end], texts[end - size : end])
        for size, end in zip(sizes, ends, strict=True)
    ]


def probe_alphas(
    low: float, high: float, count: int, version: Version = "notebook"
) -> NDArray[numpy.float64]:
    """Equally spaced α; the notebook spaces them in float32 (0.2000000030, 0.3000000119, ...)."""
    dtype = numpy.float32 if version == "notebook" else numpy.float64
    return numpy.linspace(low, high, count, dtype=dtype).astype(numpy.float64)


def fisher_objective(
    classes: Iterable[Pairs],
    names: Features,
    low: float,
    high: float,
    base: tuple[float, float, float],
    version: Version,
) -> Objective:
    """J with medians, deviations and weights taken from the probes."""
    probes = statistics(classes, names, probe_alphas(low, high, PROBES, version).tolist())
    medians, deviations = {}, {}
    for curve in CURVES:
        medians[curve], deviations[curve] = _median_and_mad([getattr(probe, curve) for probe in probes])
    return Objective(classes, names, _gap_weights(medians, base), medians, deviations)


def _median_and_mad(values: Sequence[float]) -> tuple[float, float]:
    """Median and MAD (at least 1e-12) of the values that are not NaN; (0, 1) if there are none."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return 0.0, 1.0
    median = float(numpy.median(known))
    return median, max(float(numpy.median(numpy.abs(numpy.asarray(known) - median))), 1e-12)


def _gap_weights(medians: dict[str, float], base: tuple[float, float, float]) -> dict[str, float]:
    """Base weights times the gap of each median to its ideal value, normalised to sum 1."""
    gaps = {
        "inter": max(0.0, 1.0 - medians["inter"]),
        "intra": 3.0 * max(0.0, medians["intra"]),
        "align": max(0.0, 1.0 - medians["align"]),
    }
    raw = {curve: weight * gaps[curve] for curve, weight in zip(CURVES, base, strict=True)}
    total = sum(raw.values())
    if total < 1e-6:
        return dict(zip(CURVES, base, strict=True))
    return {curve: value / total for curve, value in raw.items()}


def _least_spread(classes: Iterable[Pairs], names: Features, best: float, low: float, high: float) -> float:
    """The candidate around ``best`` with the smallest intra, smallest α on ties; J is not used (E12)."""
    candidates = sorted({min(high, max(low, best + step)) for step in LOCAL_STEPS})
    spreads = [values.intra for values in statistics(classes, names, candidates)]
    return candidates[spreads.index(min(spreads))]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Plain means over the non-empty classes; NaN where undefined (`inter` of a single class)."""

    intra: float
    inter: float
    align: float


def statistics(classes: Iterable[Pairs], names: Features, alphas: Sequence[float]) -> list[Statistics]:
    """The statistics at each α, in one pass over the classes.

    Args:
        classes: one `Pairs` per class; empty ones are excluded from the means.
        names: class-name prototypes τ, float32 [C, D], in the order of ``classes``.
        alphas: fusion weights.
    """
    present, by_class = [], []
    for index, pairs in enumerate(classes):
        if len(pairs):
            present.append(index)
            by_class.append([pairs.centroid(alpha) for alpha in alphas])
    if not present:
        return [Statistics(math.nan, math.nan, math.nan) for _ in alphas]
    return [_of_centroids(centroids, names[present]) for centroids in zip(*by_class, strict=True)]


def _of_centroids(centroids: Sequence[tuple[float, Direction]], names: Features) -> Statistics:
    """The statistics of the spread and the centre of each class at one α."""
    centres = numpy.stack([centre for _, centre in centroids])
    align = numpy.einsum("cd,cd->c", centres, names)
    return Statistics(
        intra=float(numpy.mean([intra for intra, _ in centroids])),
        inter=_mean_margin(centres),
        align=float(align.mean()),
    )


def _mean_margin(centres: NDArray[numpy.float64]) -> float:
    """Mean over classes of 1 − cosine of the nearest other class."""
    if len(centres) < 2:
        return math.nan
    cosines = centres @ centres.T
    numpy.fill_diagonal(cosines, -numpy.inf)
    return float((1.0 - cosines.max(axis=1)).mean())


@dataclass(frozen=True, slots=True)
class AlignRule:
    """Values that depend on r_c: the weight of alignment and the interval [a_lo, a_hi] of the class α."""

    gate: float
    align_scale: float
    low: float
    high: float


def align_rule(similarity: float) -> AlignRule:
    """align_scale, a_lo and a_hi from r_c (methods.md A.6)."""
    gate = 1.0 / (1.0 + math.exp(-(similarity - 0.25) / 0.05))
    return AlignRule(
        gate=gate, align_scale=0.3 + 0.7 * gate, low=0.45 if similarity < 0.25 else 0.2, high=0.8
    )
