"""k-means in the span of the latents against scikit-learn on the latents themselves."""

from __future__ import annotations

import numpy
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.neighbors import LocalOutlierFactor

from tests.tolerances import rounding
from uvlp.core.errors import UvlpError
from uvlp.methods.algorithms.clustering.latent_kmeans import latent_clusters, span_coordinates
from uvlp.methods.algorithms.clustering.minibatch_kmeans import streamed_centres


def latents(count: int, shape: tuple[int, ...], seed: int = 0) -> numpy.ndarray:
    """float16 latents [count, *shape] in a few overlapping groups, far from the origin."""
    draw = numpy.random.default_rng(seed)
    groups = draw.normal(size=(5, *shape))[draw.integers(5, size=count)]
    return (3.0 + 0.4 * groups + draw.normal(size=(count, *shape))).astype(numpy.float16)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("count", "shape"), [(90, (4, 16, 16)), (120, (4, 5, 5)), (40, (4, 32, 32))])
def test_equals_scikit_learn_on_the_latents(count: int, shape: tuple[int, ...], seed: int) -> None:
    given = latents(count, shape, seed)
    result = latent_clusters(given, 7, 0.1, seed)
    rows = given.reshape(count, -1)
    inliers = LocalOutlierFactor(n_neighbors=10, contamination=0.1).fit_predict(rows) == 1
    numpy.testing.assert_array_equal(result.inliers, inliers)
    model = KMeans(7, n_init=10, random_state=seed).fit(rows[inliers].astype(numpy.float64))
    # The same partition: no image here is so close to two centres that 1e-12 matters.
    numpy.testing.assert_array_equal(result.labels, model.labels_)
    bound = rounding(2 * count, torch.float64, largest=float(abs(rows).max()))
    numpy.testing.assert_allclose(result.centres.reshape(7, -1), model.cluster_centers_, rtol=0, atol=bound)
    assert result.centres.shape == (7, *shape)


def test_span_coordinates_preserve_distances() -> None:
    rows = latents(30, (200,)).astype(numpy.float64)
    rows[7] = rows[3]
    basis = span_coordinates(rows.copy())
    assert basis.shape == (30, 30)

    def distances(points: numpy.ndarray) -> numpy.ndarray:
        return numpy.linalg.norm(points[:, None] - points, axis=2)

    # Squared distances differ by rounding, distances near zero by its square root.
    largest = distances(rows).max()
    bound = rounding(30 * 200, torch.float64, largest=largest**2)
    numpy.testing.assert_allclose(distances(basis) ** 2, distances(rows) ** 2, rtol=0, atol=bound)


@pytest.mark.parametrize("contamination", [0.0, 0.1])
def test_every_cluster_has_a_member(contamination: float) -> None:
    equal = numpy.ones((6, 4, 2, 2), dtype=numpy.float16)
    for given in (equal, latents(6, (4, 2, 2))):
        result = latent_clusters(given, 6, contamination, 0)
        assert sorted(result.labels.tolist()) == list(range(6))
        assert result.inliers.all()
    (centre,) = latent_clusters(equal[:1], 1, contamination, 0).centres
    numpy.testing.assert_array_equal(centre, equal[0])
    with pytest.raises(UvlpError) as caught:
        latent_clusters(equal, 7, contamination, 0)
    assert (caught.value.got, caught.value.allowed) == (6, "at least 7")


def test_a_partial_batch_changes_the_streamed_centres() -> None:
    given = latents(47, (4, 3, 3))
    all_latents = streamed_centres(given, 5, 2)
    assert all_latents.shape == (5, 4, 3, 3)
    full_batches = streamed_centres(given[:40], 5, 2)
    numpy.testing.assert_array_equal(streamed_centres(given, 5, 2, flush=False), full_batches)
    assert not numpy.array_equal(all_latents, full_batches)
    numpy.testing.assert_array_equal(streamed_centres(given[:43], 5, 2, smallest_partial=5), full_batches)
    assert not numpy.array_equal(streamed_centres(given[:43], 5, 2), full_batches)


def test_a_class_smaller_than_a_batch_is_fitted_or_refused() -> None:
    few = latents(7, (4, 3, 3))
    assert numpy.isfinite(streamed_centres(few, 5, 2)).all()
    for clusters, options, allowed in ((5, {"km_expand": 2, "flush": False}, 10), (8, {}, 8)):
        with pytest.raises(UvlpError) as caught:
            streamed_centres(few, clusters, **options)  # type: ignore[arg-type]
        assert (caught.value.got, caught.value.allowed) == (7, f"at least {allowed}")
