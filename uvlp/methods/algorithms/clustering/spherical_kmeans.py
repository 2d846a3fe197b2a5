"""Spherical k-means with the random draws and quirks of the reference (methods.md A.9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from uvlp.methods.algorithms.fusion import Features, unit


@dataclass(frozen=True, slots=True, eq=False)
class SphericalClusters:
    """The best restart.

    Attributes:
        centres: unit rows, float32 [K, D]; the sampled points instead of means if the loop stopped before its
            first update.
        labels: int32 [N]; a cluster may be empty if rows are equal.
        inertia: sum over points of 1 − cosine to the nearest centre.
    """

    centres: Features
    labels: NDArray[numpy.int32]
    inertia: float


def spherical_kmeans(
    features: Features,
    clusters: int,
    random: numpy.random.RandomState,
    *,
    restarts: int = 10,
    max_iterations: int = 50,
) -> SphericalClusters:
    """Cluster rows by cosine; returns the first of the restarts with the smallest inertia.

    Args:
        features: [N, D], normalised again here.
        clusters: K, at most N.
        random: the legacy generator, consumed in the order of the reference.
        restarts: number of restarts, at least one.
        max_iterations: updates per restart; at the limit, the labels are those of the previous centres.
    """
    assert 1 <= clusters <= len(features)
    points = unit(numpy.asarray(features, dtype=numpy.float32))
    best = _restart(points, clusters, random, max_iterations)
    for _ in range(restarts - 1):
        result = _restart(points, clusters, random, max_iterations)
        best = result if result.inertia < best.inertia else best
    return best


def _restart(
    points: Features, clusters: int, random: numpy.random.RandomState, max_iterations: int
) -> SphericalClusters:
    """One run. The stop test starts from all-zero labels, so K = 1 stops before any update (E15)."""
    centres = unit(points[random.choice(len(points), clusters, replace=False)])
    labels = numpy.zeros(len(points), dtype=numpy.int32)
    for _ in range(max_iterations):
        nearest = (points @ centres.T).argmax(axis=1).astype(numpy.int32)
        if numpy.array_equal(nearest, labels):
            break
        labels = nearest
        centres = _update(points, labels, clusters, random)
    inertia = (1.0 - (points @ centres.T).max(axis=1)).sum()
    return SphericalClusters(centres, labels, float(inertia))


def _update(
    points: Features, labels: NDArray[numpy.int32], clusters: int, random: numpy.random.RandomState
) -> Features:
    """Means of the members in cluster order; an empty cluster gets a random row, one draw each."""
    centres = numpy.empty((clusters, points.shape[1]), dtype=numpy.float32)
    for cluster in range(clusters):
        members = numpy.flatnonzero(labels == cluster)
        centres[cluster] = (
            points[members].mean(axis=0) if len(members) else points[random.randint(0, len(points))]
        )
    return unit(centres)
