"""Two helpers of the reference package that its pipeline never calls (methods.md A.16).

They stand here so that their golden data is covered; the product does without them.
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

Curve = NDArray[numpy.floating]


def normalised(values: Curve) -> Curve:
    """Min-max normalisation; a constant curve becomes 0.5."""
    span = values.max() - values.min()
    return (values - values.min()) / (span + 1e-8) if span > 1e-8 else numpy.full_like(values, 0.5)


def dynamic_weights(intra: Curve, inter: Curve, align: Curve) -> Curve:
    """Weights (intra, inter, align): distances of the means from the best values, normalised."""
    gaps = numpy.array([intra.mean() - intra.min(), inter.max() - inter.mean(), align.max() - align.mean()])
    return gaps / gaps.sum() if gaps.sum() > 1e-8 else numpy.full(3, 1 / 3)


def weighted_fisher(intra: Curve, inter: Curve, align: Curve, weights: Curve) -> Curve:
    """w_inter·inter − w_intra·intra + w_align·align on the raw curves."""
    return weights[1] * inter - weights[0] * intra + weights[2] * align


def mean_similarities(features: Curve) -> Curve:
    """Row means of the cosines with a zero diagonal (divided by n, not n − 1)."""
    unit = features / numpy.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T
    numpy.fill_diagonal(cosines, 0.0)
    return cosines.mean(axis=1)


def hubness_selection(features: Curve, count: int) -> list[int]:
    """Positions of the members chosen: all in index order if few, else by descending mean similarity."""
    if len(features) <= count:
        return list(range(len(features)))
    return numpy.argsort(-mean_similarities(features), kind="stable")[:count].tolist()
