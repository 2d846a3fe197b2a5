"""Exactly K clusters: split the largest one until no cluster is empty (D-03).

The reference leaves empty clusters out and so makes fewer images than asked for (E18).
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

Points = NDArray[numpy.floating]


def split_to_fill(points: Points, labels: NDArray[numpy.int32], clusters: int) -> NDArray[numpy.int32]:
    """Labels in which each of 0..clusters−1 has a member.

    Every empty cluster, lowest label first, takes one side of the largest cluster (lowest label on
    ties). Deterministic, and works with equal rows.

    Args:
        points: [N, D], N at least ``clusters``; for cosines, unit rows.
        labels: int [N], each below ``clusters``.
        clusters: K.
    """
    assert len(labels) >= clusters
    filled = numpy.array(labels)
    sizes = numpy.bincount(filled, minlength=clusters)
    for empty in numpy.flatnonzero(sizes == 0):
        members = numpy.flatnonzero(filled == sizes.argmax())
        filled[members[_far_side(points[members])]] = empty
        sizes = numpy.bincount(filled, minlength=clusters)
    return filled


def _far_side(points: Points) -> NDArray[numpy.intp]:
    """Positions of the members nearer to the outermost one than to its opposite, at least one, not all.

    The outermost member is the one farthest from the mean, its opposite the one farthest from it.
    """
    outermost = points[_distances(points, points.mean(axis=0)).argmax()]
    opposite = points[_distances(points, outermost).argmax()]
    leaning = _distances(points, opposite) - _distances(points, outermost)
    count = int((leaning > 0).sum())
    order = numpy.argsort(-leaning, kind="stable")
    return order[: min(max(count, 1), len(points) - 1)]


def _distances(points: Points, point: Points) -> Points:
    return numpy.linalg.norm(points - point, axis=1)
