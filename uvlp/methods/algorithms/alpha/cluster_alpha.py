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
from uvlp.methods.algorithms.alpha.nearest_names import NearestNames, OtherNames
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
        other_names: prototypes of all other classes, or None.
        other_centres: unit centres of the class's other clusters, float64 [K − 1, D], or None.
    """

    name: Features | None = None
    other_names: OtherNames | None = None
    other_centres: NDArray[numpy.floating] | None = None


class Cluster:
    """The four terms of one cluster as functions of α.

    Args:
        pairs: members' features, at least one.
        context: names and centres to compare with.
    """

    def __init__(self, pairs: Pairs, context: ClusterContext) -> None:
        self._pairs, self._context = pairs, context
        others = context.other_names
        self._nearest = NearestNames(others, pairs) if others is not None and len(others.rows) else None

    def terms(self, alpha: float) -> Terms:
        """The terms at one α."""
        intra, centre = self._pairs.centroid(alpha)
        name, centres = self._context.name, self._context.other_centres
        align = margin = separation = math.nan
        if name is not None:
            align = float(centre @ name)
        if self._nearest is not None:
            margin = 1.0 - float(self._nearest.cosines(centre, alpha, NEAREST_NAMES).mean())
        if centres is not None and len(centres):
            separation = min(1.0 - float((centres @ centre).max()), ENOUGH_SEPARATION)
        return Terms(intra, align, margin, separation)


@dataclass(frozen=True, slots=True)
class Objective:
    """−ŵ_i D + ŵ_a A + ŵ_m M + ŵ_s S − λ(α − α_c)², without undefined terms."""

    cluster: Cluster
    weights: Weights
    prior: float | None
    prior_weight: float

    def __call__(self, alpha: float) -> float:
        terms = self.cluster.terms(alpha)
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
    cluster: Cluster, prior: float | None, prior_weight: float, align_weight: float
) -> Objective:
    """The objective with weights from the probes."""
    probes = [cluster.terms(float(alpha)) for alpha in probe_alphas(LOW, HIGH, PROBES)]
    return Objective(cluster, _weights(probes, align_weight), prior, prior_weight)


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
    cluster = Cluster(pairs, context)
    objective = cluster_objective(cluster, prior, prior_weight, align_weight)
    alpha = maximise(objective, LOW, HIGH, max_rounds=MAX_ROUNDS)
    return ClusterAlpha(alpha, cluster.terms(alpha), objective.weights)


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
