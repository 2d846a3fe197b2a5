"""Cluster α: the fusion weight of one cluster (methods.md A.10).

Symbols, all functions of α: D spread, A alignment with τ_c, M margin to the names of other classes,
C distance to the nearest other cluster, S = min(C, 0.4). γ gaps at five probes, ŵ the weights derived from
them, λ the weight of the prior α_c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from uvlp.methods.algorithms.alpha.global_alpha import probe_alphas
from uvlp.methods.algorithms.alpha.golden_section import maximise
from uvlp.methods.algorithms.fusion import Features, Pairs

LOW, HIGH, PROBES, MAX_ROUNDS = 0.2, 0.8, 5, 32
NEAREST_NAMES = 3
ENOUGH_SEPARATION = 0.4
MARGIN_WEIGHT, SEPARATION_WEIGHT = 0.2, 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """D, A, M and S at one α; NaN if undefined."""

    intra: float
    align: float
    margin: float
    separation: float


@dataclass(frozen=True, slots=True)
class Weights:
    """ŵ of the four terms."""

    intra: float
    align: float
    margin: float
    separation: float


@dataclass(frozen=True, slots=True, eq=False)
class ClusterContext:
    """Names and centres that a cluster is compared with; independent of α.

    Attributes:
        name: class-name prototype τ_c, float32 [D], or None.
        other_names: prototypes of all other classes, float32 [C − 1, D], or None.
        other_centres: unit centres of the class's other clusters, float64 [K − 1, D], or None.
    """

    name: Features | None = None
    other_names: Features | None = None
    other_centres: NDArray[numpy.floating] | None = None

    def terms(self, pairs: Pairs, alpha: float) -> Terms:
        """The four terms for the members ``pairs`` of a cluster."""
        intra, centre = pairs.centroid(alpha)
        align = margin = separation = math.nan
        if self.name is not None:
            align = float(centre @ self.name)
        if self.other_names is not None and len(self.other_names):
            nearest = numpy.sort(self.other_names @ centre)[-NEAREST_NAMES:]
            margin = 1.0 - float(nearest.mean())
        if self.other_centres is not None and len(self.other_centres):
            separation = min(1.0 - float((self.other_centres @ centre).max()), ENOUGH_SEPARATION)
        return Terms(intra, align, margin, separation)


@dataclass(frozen=True, slots=True)
class Objective:
    """−ŵ_i D + ŵ_a A + ŵ_m M + ŵ_s S − λ(α − α_c)², without undefined terms."""

    pairs: Pairs
    context: ClusterContext
    weights: Weights
    prior: float | None
    prior_weight: float

    def __call__(self, alpha: float) -> float:
        terms = self.context.terms(self.pairs, alpha)
        value = -self.weights.intra * terms.intra
        for term in ("align", "margin", "separation"):
            if not math.isnan(getattr(terms, term)):
                value += getattr(self.weights, term) * getattr(terms, term)
        if self.prior is not None and self.prior_weight > 0:
            value -= self.prior_weight * (alpha - self.prior) ** 2
        return value


@dataclass(frozen=True, slots=True)
class ClusterAlpha:
    """α_k, the terms at α_k and the weights of the search."""

    alpha: float
    terms: Terms
    weights: Weights


def cluster_objective(
    pairs: Pairs, context: ClusterContext, prior: float | None, prior_weight: float, align_weight: float
) -> Objective:
    """The objective with weights from the probes."""
    probes = [context.terms(pairs, float(alpha)) for alpha in probe_alphas(LOW, HIGH, PROBES)]
    return Objective(pairs, context, _weights(probes, align_weight), prior, prior_weight)


def cluster_alpha(
    pairs: Pairs,
    context: ClusterContext,
    *,
    prior: float | None,
    align_weight: float,
    prior_weight: float = 0.6,
) -> ClusterAlpha:
    """α_k in [0.2, 0.8] for the members ``pairs`` of one cluster.

    Args:
        pairs: members' features, at least one.
        context: names and centres to compare with.
        prior: α_c, or None for no prior.
        align_weight: w_a = align_scale of the class.
        prior_weight: λ.
    """
    objective = cluster_objective(pairs, context, prior, prior_weight, align_weight)
    alpha = maximise(objective, LOW, HIGH, max_rounds=MAX_ROUNDS)
    return ClusterAlpha(alpha, context.terms(pairs, alpha), objective.weights)


def _weights(probes: list[Terms], align_weight: float) -> Weights:
    """Weights in proportion to the gaps; a missing name still gets its share (E20)."""
    raw = (
        max(0.0, _median(probes, "intra", 0.0)),
        align_weight * max(0.0, 1.0 - _median(probes, "align", 0.0)),
        MARGIN_WEIGHT * max(0.0, 1.0 - _median(probes, "margin", 1.0)),
    )
    total = sum(raw)
    if total >= 1e-6:
        raw = raw[0] / total, raw[1] / total, raw[2] / total
    else:
        raw = 1.0, align_weight, MARGIN_WEIGHT
    separation = _separation_weight(probes)
    total = sum(raw) + separation
    return Weights(raw[0] / total, raw[1] / total, raw[2] / total, separation / total)


def _median(probes: list[Terms], term: str, undefined: float) -> float:
    values = [getattr(probe, term) for probe in probes]
    return undefined if math.isnan(values[0]) else float(numpy.median(values))


def _separation_weight(probes: list[Terms]) -> float:
    """γ_s / 0.4, or 0 when there are no other clusters."""
    missing = ENOUGH_SEPARATION - _median(probes, "separation", ENOUGH_SEPARATION)
    return SEPARATION_WEIGHT * max(0.0, missing) / ENOUGH_SEPARATION
