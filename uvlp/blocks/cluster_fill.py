"""Exactly K clusters: split the largest one until no cluster is empty (decisions.md, IPC).

The reference leaves empty clusters out and so makes fewer images than asked for (E18).
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from uvlp.blocks.fusion import Features, unit


def split_to_fill(features: Features, labels: NDArray[numpy.int32], clusters: int) -> NDArray[numpy.int32]:
    """Labels in which each of 0..clusters−1 has a member.

    Every empty cluster, lowest label first, takes one side of the largest cluster (lowest label on
    ties). Deterministic, and works with equal rows.

    Args:
        features: unit rows, float32 [N, D], N at least ``clusters``.
        labels: int [N], each below ``clusters``.
        clusters: K.
    """
    assert len(labels) >= clusters
    filled = numpy.array(labels)
    sizes = numpy.bincount(filled, minlength=clusters)
    for empty in numpy.flatnonzero(sizes == 0):
        members = numpy.flatnonzero(filled == sizes.argmax())
        filled[members[_far_side(features[members])]] = empty
        sizes = numpy.bincount(filled, minlength=clusters)
    return filled


def _far_side(points: Features) -> NDArray[numpy.intp]:
    """Positions of the members nearer to the outermost one than to its opposite, at least one, not all.

    The outermost member is the one least similar to the mean, its opposite the one least similar to it.
    """
    outermost = int((points @ unit(points.mean(axis=0))).argmin())
    opposite = int((points @ points[outermost]).argmin())
    leaning = points @ (points[outermost] - points[opposite])
    count = int((leaning > 0).sum())
    order = numpy.argsort(-leaning, kind="stable")
    return order[: min(max(count, 1), len(points) - 1)]
