"""Class α: the fusion weight of one class (methods.md A.7).

Symbols: D(α) intra and A(α) align of the class, α_g the global weight, w_a = align_scale, λ the weight
of the prior, γ gaps at five probes of α.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike

from uvlp.methods.algorithms.alpha.global_alpha import probe_alphas
from uvlp.methods.algorithms.alpha.golden_section import maximise
from uvlp.methods.algorithms.fusion import Features, Pairs

PROBES = 5


@dataclass(frozen=True, slots=True)
class Objective:
    """−ŵ_i D(α) + ŵ_a A(α) − λ(α − α_g)², to be maximised."""

    pairs: Pairs
    name: Features
    intra_weight: float
    align_weight: float
    global_alpha: float
    prior_weight: float

    def __call__(self, alpha: float) -> float:
        intra, centre = self.pairs.centroid(alpha)
        prior = self.prior_weight * (alpha - self.global_alpha) ** 2
        return -self.intra_weight * intra + self.align_weight * float(centre @ self.name) - prior


def class_objective(
    pairs: Pairs,
    name: Features,
    global_alpha: float,
    *,
    align_weight: float = 0.7,
    prior_weight: float = 0.2,
    low: float = 0.2,
    high: float = 0.8,
) -> Objective:
    """The notebook's objective: normally ŵ_i = 1 and ŵ_a = w_a γ_a / γ_i."""
    intra, align = [], []
    for alpha in probe_alphas(low, high, PROBES):
        spread, centre = pairs.centroid(float(alpha))
        intra.append(spread)
        align.append(float(centre @ name))
    spread_gap = max(0.0, float(numpy.median(intra)))
    align_gap = align_weight * max(0.0, 1.0 - float(numpy.median(align)))
    if spread_gap + align_gap < 1e-6:
        return Objective(pairs, name, 1.0, 1.0, global_alpha, prior_weight)
    scale = 1.0 / spread_gap if spread_gap > 1e-6 else 1.0
    return Objective(pairs, name, spread_gap * scale, align_gap * scale, global_alpha, prior_weight)


def class_alpha(
    images: ArrayLike,
    texts: ArrayLike,
    name: ArrayLike,
    global_alpha: float,
    *,
    align_weight: float = 0.7,
    prior_weight: float = 0.2,
    low: float = 0.2,
    high: float = 0.8,
) -> float:
    """α_c of the notebook, whose call sets w_a = align_scale, λ = 0.6, low = a_lo.

    Args:
        images, texts: features [N, D] of all images of the class, N > 0.
        name: class-name prototype τ_c [D].
        global_alpha: α_g.
        align_weight: w_a.
        prior_weight: λ.
        low, high: interval of the search.
    """
    objective = class_objective(
        Pairs(images, texts),
        numpy.asarray(name, dtype=numpy.float32),
        global_alpha,
        align_weight=align_weight,
        prior_weight=prior_weight,
        low=low,
        high=high,
    )
    return maximise(objective, low, high)


def package_interval(global_alpha: float, delta: float = 0.1) -> tuple[float, float]:
    """The package's search interval, α_g ± delta within [0, 1]."""
    return max(0.0, global_alpha - delta), min(1.0, global_alpha + delta)


def package_objective(pairs: Pairs, name: Features) -> Callable[[float], float]:
    """The package's objective A(α) − D(α)."""
    return Objective(pairs, name, 1.0, 1.0, 0.0, 0.0)


def package_class_alpha(
    images: ArrayLike, texts: ArrayLike, name: ArrayLike, global_alpha: float, delta: float = 0.1
) -> float:
    """α_c of the package: the maximum of A − D on α_g ± delta, usually its lower end; α_g if empty."""
    pairs = Pairs(images, texts)
    if not len(pairs):
        return global_alpha
    objective = package_objective(pairs, numpy.asarray(name, dtype=numpy.float32))
    return maximise(objective, *package_interval(global_alpha, delta), version="package")
