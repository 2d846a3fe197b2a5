"""Time of VLCP's latent clustering against scikit-learn on the latents themselves, and whether both agree.

    python benchmarks/methods/latent_kmeans.py --latents 950 --dimensions 16384 --ipc 10 --repeats 3

Both sides run in this process, on one thread, alternating; the smallest time of each counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy
import threadpoolctl  # type: ignore[import-untyped]
from sklearn.cluster import KMeans
from sklearn.neighbors import LocalOutlierFactor

from uvlp.methods.algorithms.clustering.latent_kmeans import LatentClusters, latent_clusters

CONTAMINATION, SEED = 0.1, 0


def synthetic_latents(count: int, dimensions: int) -> numpy.ndarray:
    """float16 [count, dimensions]: twelve overlapping groups, smooth shared directions and noise."""
    draw = numpy.random.default_rng(SEED)
    groups = draw.normal(size=(12, dimensions))[draw.integers(12, size=count)]
    shared = draw.normal(size=(count, 24)) @ draw.normal(size=(24, dimensions)) / 5
    return (0.15 * groups + shared + 0.6 * draw.normal(size=(count, dimensions))).astype(numpy.float16)


def plain(latents: numpy.ndarray, clusters: int) -> LatentClusters:
    """The reference: LOF on the float16 latents, k-means on the survivors in float64."""
    detector = LocalOutlierFactor(n_neighbors=10, contamination=CONTAMINATION)
    inliers = detector.fit_predict(latents) == 1
    model = KMeans(clusters, n_init=10, random_state=SEED).fit(latents[inliers].astype(numpy.float64))
    return LatentClusters(inliers, model.labels_, model.cluster_centers_)


def timed(work: Callable[[], LatentClusters]) -> tuple[float, LatentClusters]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latents", type=int, default=950)
    parser.add_argument("--dimensions", type=int, default=16384)
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    latents = synthetic_latents(options.latents, options.dimensions)
    ours_s, plain_s = [], []
    with threadpoolctl.threadpool_limits(1):
        for _ in range(options.repeats):
            seconds, ours = timed(lambda: latent_clusters(latents, options.ipc, CONTAMINATION, SEED))
            ours_s.append(seconds)
            seconds, reference = timed(lambda: plain(latents, options.ipc))
            plain_s.append(seconds)
    print(f"scikit-learn on the latents: {min(plain_s):.2f} s")
    print(f"latent_clusters:             {min(ours_s):.2f} s")
    print(f"ratio:                       {min(plain_s) / min(ours_s):.1f}")
    print(f"same inliers:                {numpy.array_equal(ours.inliers, reference.inliers)}")
    print(f"same labels:                 {numpy.array_equal(ours.labels, reference.labels)}")
    print(f"largest centre difference:   {abs(ours.centres - reference.centres).max():.1e}")


if __name__ == "__main__":
    main()
