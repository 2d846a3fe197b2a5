"""Outlier removal by scikit-learn's local outlier factor (methods.md A.8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

NEIGHBOURS = 10
FEWEST_IMAGES = 3
"""With fewer images none is an outlier: two are equally remote, and LOF fails on one (E19)."""


@dataclass(frozen=True, slots=True, eq=False)
class Outliers:
    """The result of outlier detection.

    Attributes:
        inliers: bool [N].
        factors: negative outlier factors [N]; −1: like its neighbours, lower: more remote.
        threshold: images with a strictly lower factor are outliers.
        neighbours: neighbours used, fewer than ten for small classes.
    """

    inliers: NDArray[numpy.bool_]
    factors: NDArray[numpy.floating]
    threshold: float
    neighbours: int


def find_outliers(features: NDArray[numpy.floating], contamination: float) -> Outliers:
    """Find the ``contamination`` share (0 to 0.5) of rows [N, D] with the lowest factors; 0 keeps all."""
    count = len(features)
    neighbours = min(NEIGHBOURS, count - 1)
    if contamination == 0 or count < FEWEST_IMAGES:
        return Outliers(numpy.ones(count, dtype=bool), -numpy.ones(count), -1.0, neighbours)
    from sklearn.neighbors import LocalOutlierFactor

    detector = LocalOutlierFactor(n_neighbors=neighbours, contamination=contamination)
    inliers = detector.fit_predict(features) == 1
    return Outliers(inliers, detector.negative_outlier_factor_, float(detector.offset_), neighbours)


def readmit(outliers: Outliers, count: int) -> NDArray[numpy.bool_]:
    """The inliers, or the ``count`` rows with the highest factors if fewer are left.

    The reference lowers the number of clusters instead (E18).
    """
    if outliers.inliers.sum() >= count:
        return outliers.inliers
    kept = numpy.zeros(len(outliers.inliers), dtype=bool)
    kept[numpy.argsort(-outliers.factors, kind="stable")[:count]] = True
    return kept
