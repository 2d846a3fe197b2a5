"""D4M's prototypes: mini-batch k-means of streamed latents (methods.md C)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy
from numpy.typing import NDArray

from uvlp.core.errors import too_few_for_a_fit, too_few_images


def streamed_centres(
    latents: NDArray[numpy.floating],
    clusters: int,
    km_expand: int = 1,
    seed: int = 0,
    *,
    flush: bool = True,
    smallest_partial: int = 1,
) -> NDArray[numpy.float64]:
    """Cluster centres of a class, float64 [K, ...] shaped like the latents.

    Each batch of km_expand·K latents is a partial fit; the first also initialises the centres (k-means++). A
    class smaller than a batch is fitted on all its latents.

    Args:
        latents: [N, ...] in visiting order.
        clusters: K.
        km_expand: latents per fit, as a multiple of K.
        seed: random_state.
        flush: whether to fit the last partial batch. The reference only does so for the class of the last
            image and drops the others (E46).
        smallest_partial: a smaller partial batch is dropped; K in the reference.

    Raises:
        UvlpError: there are fewer latents than clusters, or, as in the reference, only a dropped batch.
    """
    from sklearn.cluster import MiniBatchKMeans

    if len(latents) < clusters:
        raise too_few_images(len(latents), clusters)
    batch = km_expand * clusters
    sizes = fit_sizes(len(latents), batch, smallest_partial if flush else batch)
    if not sizes:
        raise too_few_for_a_fit(len(latents), batch)
    model = MiniBatchKMeans(clusters, random_state=seed, batch_size=batch, n_init="auto")
    for rows in _batches(latents.reshape(len(latents), -1).astype(numpy.float64), sizes):
        model.partial_fit(rows)
    return model.cluster_centers_.reshape(clusters, *latents.shape[1:])


def fit_sizes(count: int, batch: int, smallest_partial: int) -> list[int]:
    """Batch sizes: full batches, then the partial one if it is large enough."""
    rest = count % batch
    return [batch] * (count // batch) + ([rest] if rest and rest >= smallest_partial else [])


def _batches(points: NDArray[numpy.float64], sizes: list[int]) -> Iterator[NDArray[numpy.float64]]:
    start = 0
    for size in sizes:
        yield points[start : start + size]
        start += size
