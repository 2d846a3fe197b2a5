"""VLCP's image prototypes: outlier removal and k-means of VAE latents (methods.md B.4), fast and exact.

N latents span at most N dimensions, so they are first expressed in an orthogonal basis of their span: an
[N, N] matrix instead of [N, 16384] with the same distances. scikit-learn then draws the same random numbers
and makes the same decisions as on the latents.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from uvlp.core.errors import too_few_images
from uvlp.methods.algorithms.clustering.cluster_fill import split_to_fill
from uvlp.methods.algorithms.clustering.outliers import find_outliers, readmit

RESTARTS, MAX_ITERATIONS, TOLERANCE = 10, 300, 1e-4


class LatentClusters(NamedTuple):
    """The clusters of a class.

    Attributes:
        inliers: bool [N].
        labels: int32, one per inlier, in order.
        centres: means of the members, float64 [K, ...] shaped like the latents.
    """

    inliers: NDArray[numpy.bool_]
    labels: NDArray[numpy.int32]
    centres: NDArray[numpy.float64]


def latent_clusters(
    latents: NDArray[numpy.floating], clusters: int, contamination: float, seed: int
) -> LatentClusters:
    """Remove outliers and cluster the rest by Lloyd's k-means from ten k-means++ starts.

    Args:
        latents: [N, ...] in visiting order; float16 as in the reference, or wider.
        clusters: K; outliers are readmitted and equal latents split if fewer than K would be left (E39).
        contamination: share of outliers, 0 for none.
        seed: random_state of k-means.

    Raises:
        UvlpError: there are fewer latents than clusters.
    """
    if len(latents) < clusters:
        raise too_few_images(len(latents), clusters)
    points = latents.reshape(len(latents), -1).astype(numpy.float64)
    dimensions = points.shape[1]
    if len(points) < dimensions:
        points = span_coordinates(points)
    inliers = readmit(find_outliers(points, contamination), clusters)
    labels = _kmeans(points[inliers], clusters, seed, dimensions)
    kept = latents[inliers]
    centres = [kept[labels == cluster].mean(axis=0, dtype=numpy.float64) for cluster in range(clusters)]
    return LatentClusters(inliers, labels, numpy.stack(centres))


def span_coordinates(points: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    """Coordinates [N, N] with the same mutual distances as the rows of ``points`` [N, D], D > N.

    From the eigenvectors of the Gram matrix: G = U diag(s) Uᵀ, coordinates U diag(√s). Centring first avoids
    rounding errors of a common offset; ``points`` is centred in place.
    """
    points -= points.mean(axis=0)
    squares, vectors = numpy.linalg.eigh(points @ points.T)
    return vectors * numpy.sqrt(numpy.maximum(squares, 0.0))


def _kmeans(
    points: NDArray[numpy.float64], clusters: int, seed: int, dimensions: int
) -> NDArray[numpy.int32]:
    """Labels of the best start, in which each of 0..clusters−1 occurs."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    # scikit-learn scales the tolerance by the mean variance of the columns, which were more numerous.
    tolerance = TOLERANCE * points.shape[1] / dimensions
    model = KMeans(
        clusters,
        n_init=RESTARTS,
        max_iter=MAX_ITERATIONS,
        tol=tolerance,
        random_state=seed,
        algorithm="lloyd",
    )
    with warnings.catch_warnings():
        # Fewer distinct latents than clusters: the split below fills the empty ones.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = model.fit(points).labels_
    return split_to_fill(points, labels, clusters)
