"""Make exactly K clusters: split the largest until no cluster is empty (D-03).

The reference omits empty clusters and so makes fewer images than requested (E18).
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

Points = NDArray[numpy.floating]


def split_to_fill(points: Points, labels: NDArray[numpy.int32], clusters: int) -> NDArray[numpy.int32]:
    """Relabel so that each of 0..clusters−1 has a member.

    Each empty cluster, lowest label first, gets one side of the largest cluster (lowest label on ties).
    Deterministic, and works with equal rows.

    Args:
        points: [N, D], N at least ``clusters``; unit rows for cosine distances.
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
    """Indices of the members nearer to the outermost one than to its opposite; at least one, never all.

    The outermost member is the farthest from the mean, its opposite the farthest from the outermost.
    """
    outermost = points[_distances(points, points.mean(axis=0)).argmax()]
    opposite = points[_distances(points, outermost).argmax()]
    leaning = _distances(points, opposite) - _distances(points, outermost)
    count = int((leaning > 0).sum())
    order = numpy.argsort(-leaning, kind="stable")
    return order[: min(max(count, 1), len(points) - 1)]


def _distances(points: Points, point: Points) -> Points:
    return numpy.linalg.norm(points - point, axis=1)
