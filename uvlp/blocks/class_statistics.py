"""Spread, separation and alignment of fused classes as functions of α (methods.md A.5, A.6).

Symbols: μ_c centre of class c on the sphere, τ_c class-name prototype; intra_c = mean(1 − F·μ_c),
margin_c = 1 − max over other classes of μ_c·μ_d, align_c = μ_c·τ_c; r_c mean image-caption cosine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from uvlp.blocks.fusion import Features, Pairs


@dataclass(frozen=True, slots=True)
class Statistics:
    """Plain means over the non-empty classes; NaN where undefined (`inter` of a single class)."""

    intra: float
    inter: float
    align: float


def statistics(classes: Sequence[Pairs], names: Features, alpha: float) -> Statistics:
    """The statistics at one α.

    Args:
        classes: one `Pairs` per class; empty ones are left out of the means.
        names: class-name prototypes τ, float32 [C, D], in the order of ``classes``.
        alpha: fusion weight.
    """
    present = [index for index, pairs in enumerate(classes) if len(pairs)]
    if not present:
        return Statistics(math.nan, math.nan, math.nan)
    found = [classes[index].centroid(alpha) for index in present]
    centres = numpy.stack([centre for _, centre in found])
    align = numpy.einsum("cd,cd->c", centres, names[present])
    return Statistics(
        intra=float(numpy.mean([intra for intra, _ in found])),
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
    """What r_c decides: the weight of alignment and the interval [a_lo, a_hi] of the class α."""

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
