"""UVLP's prototypes: edge cases of methods.md A.13b, exactly IPC prototypes."""

from __future__ import annotations

import numpy
import pytest

from tests.tolerances import rounding
from uvlp.core.errors import UvlpError
from uvlp.methods.algorithms.clustering.cluster_fill import split_to_fill
from uvlp.methods.algorithms.clustering.outliers import Outliers, find_outliers, readmit
from uvlp.methods.algorithms.fusion import Pairs, fuse, three_way, unit
from uvlp.methods.algorithms.uvlp_prototypes import (
    ClusteringResult,
    best_members,
    derive,
    hub_scores,
    image_prototype,
)


def features(count: int, seed: int = 0) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """Image and caption features [count, 16] and latents [count, 4, 2, 2]."""
    draw = numpy.random.default_rng(seed)
    rows = draw.normal(size=(2, count, 16)).astype(numpy.float32)
    return unit(rows[0]), unit(rows[1]), draw.normal(size=(count, 4, 2, 2)).astype(numpy.float32)


def derived(arrays: tuple[numpy.ndarray, ...], ipc: int, **options: object) -> ClusteringResult:
    settings: dict = {"name": None, "other_names": None, "class_alpha": 0.5, "align_weight": 0.5} | options
    images, texts, latents = arrays
    return derive(images, texts, latents.__getitem__, ipc=ipc, **settings)


def check_partition(result: ClusteringResult, ipc: int) -> None:
    """Check that there are ``ipc`` prototypes and their members partition the inliers."""
    assert len(result.prototypes) == ipc
    members = numpy.concatenate([prototype.members for prototype in result.prototypes])
    assert sorted(members.tolist()) == numpy.flatnonzero(result.inliers).tolist()
    for prototype in result.prototypes:
        assert set(prototype.selected) <= set(prototype.members.tolist())
        assert prototype.text_index == prototype.selected[0]
        assert len(prototype.scores) == len(prototype.members) > 0


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 11, 40])
@pytest.mark.parametrize("ipc", [1, 2, 10])
def test_split_gives_exactly_ipc_prototypes(count: int, ipc: int) -> None:
    if count < ipc:
        with pytest.raises(UvlpError) as caught:
            derived(features(count), ipc)
        assert (caught.value.got, caught.value.allowed) == (count, f"at least {ipc}")
    else:
        check_partition(derived(features(count), ipc), ipc)


def test_split_readmits_the_least_remote_outliers() -> None:
    result = derived(features(10), 10)
    assert result.readmitted == 1
    assert result.inliers.all()
    few = derived(features(10), 10, fill="none")
    assert few.readmitted == 0
    check_partition(few, 9)
    outliers = Outliers(numpy.array([True, False, False]), numpy.array([-1.0, -3.0, -2.0]), -1.5, 2)
    assert readmit(outliers, 2).tolist() == [True, False, True]


def test_equal_rows_are_split_except_in_the_reference_mode() -> None:
    images, texts, latents = features(8)
    images[:], texts[:] = images[0], texts[0]
    assert len(derived((images, texts, latents), 4, fill="none").prototypes) == 1
    result = derived((images, texts, latents), 4)
    check_partition(result, 4)
    assert result.inliers.all()
    assert result.split == 3


def test_a_class_of_one_image_has_its_latent_as_prototype() -> None:
    images, texts, latents = features(1)
    for fill in ("split", "none"):
        (only,) = derived((images, texts, latents), 1, fill=fill).prototypes
        assert only.selected == (0,)
        assert only.scores.tolist() == [1.0]
        numpy.testing.assert_array_equal(only.latent, latents[0])
    with pytest.raises(UvlpError) as caught:
        derived(features(0), 1, fill="none")
    assert caught.value.allowed == "at least 1"


def test_small_classes_have_no_outliers() -> None:
    assert find_outliers(features(2)[0], 0.1).inliers.all()
    assert find_outliers(features(1)[0], 0.1).inliers.all()
    assert find_outliers(features(7)[0], 0.1).neighbours == 6
    assert find_outliers(features(30)[0], 0.0).inliers.all()
    # Without ties ceil(contamination * (N - 1)) images are outliers.
    assert (~find_outliers(features(30)[0], 0.1).inliers).sum() == 3


def test_two_members_are_a_tie_resolved_by_the_lowest_index() -> None:
    for seed in range(20):
        images, texts, _ = features(2, seed)
        assert best_members(hub_scores(fuse(images, texts, 0.3)), 2) == [0, 1]


def test_top_k_above_the_cluster_size_averages_all_members() -> None:
    images, texts, latents = features(4)
    scores = hub_scores(fuse(images, texts, 0.5))
    chosen = best_members(scores, 6)
    assert sorted(chosen) == [0, 1, 2, 3]
    numpy.testing.assert_allclose(
        image_prototype(latents[chosen]),
        latents.mean(axis=0),
        rtol=0,
        atol=rounding(4 + 1, largest=abs(latents).max()),
    )


def test_hub_scores_are_the_mean_similarity_to_the_others() -> None:
    images, texts, _ = features(9)
    cosines = fuse(images, texts, 0.4).astype(numpy.float64)
    cosines = cosines @ cosines.T
    bound = rounding(3 * images.shape[1] + 9 + 6)  # two norms and a product in float32, a mean of nine
    wanted = (cosines.sum(axis=1) - numpy.diag(cosines)) / 8
    numpy.testing.assert_allclose(hub_scores(fuse(images, texts, 0.4)), wanted, rtol=0, atol=bound)


def test_without_a_search_the_class_alpha_is_used() -> None:
    arrays = features(40)
    result = derived(arrays, 5, search=False, class_alpha=0.7)
    assert all(prototype.alpha is None for prototype in result.prototypes)
    first = result.prototypes[0]
    fused = fuse(arrays[0][first.members], arrays[1][first.members], 0.7)
    numpy.testing.assert_array_equal(first.scores, hub_scores(fused))


def test_the_result_only_depends_on_the_seed() -> None:
    arrays = features(60)
    texts = [[p.text_index for p in derived(arrays, 6, seed=seed).prototypes] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_split_to_fill_keeps_the_other_clusters() -> None:
    rows = unit(numpy.random.default_rng(0).normal(size=(12, 4)).astype(numpy.float32))
    labels = numpy.array([0] * 3 + [1] * 7 + [2] * 2, dtype=numpy.int32)
    filled = split_to_fill(rows, labels, 4)
    assert numpy.bincount(filled, minlength=4).min() > 0
    assert filled[labels != 1].tolist() == labels[labels != 1].tolist()
    assert set(filled[labels == 1].tolist()) == {1, 3}


def test_the_centroid_is_that_of_the_fused_rows() -> None:
    images, texts, _ = features(20)
    bound = rounding(4 * images.shape[1] + 20 + 8)  # norms of three rows, a product, a mean of twenty
    for alpha in (0.0, 0.2, 0.61, 1.0):
        rows = fuse(images, texts, alpha).astype(numpy.float64)
        mean = rows.mean(axis=0)
        intra, centre = Pairs(images, texts).centroid(alpha)
        numpy.testing.assert_allclose(centre, mean / numpy.linalg.norm(mean), rtol=0, atol=bound)
        assert intra == pytest.approx(float((1 - rows @ centre).mean()), rel=0, abs=bound)


def test_three_way_fusion_equals_its_equation() -> None:
    """Each part is centred over the class and normalised; in the unit rows each has length √(1/3)."""
    images, texts, latents = features(12)
    expected = []
    for row in range(12):
        joined: list[float] = []
        for part in (images, texts, latents.reshape(12, 16)):
            centred = part[row].astype(float) - part.astype(float).sum(axis=0) / 12
            joined += (centred / (numpy.sqrt(centred @ centred) * numpy.sqrt(3))).tolist()
        expected.append(joined)
    fused = three_way(images, texts, latents)
    assert fused.dtype == numpy.float32
    numpy.testing.assert_allclose(fused, expected, rtol=0, atol=rounding(2))


def test_three_way_fusion_ignores_a_part_that_is_constant() -> None:
    images, texts, latents = features(12)
    fused = three_way(images, numpy.broadcast_to(texts[0], texts.shape), latents)
    assert not fused[:, 16:32].any()
    numpy.testing.assert_allclose((fused.astype(float) ** 2).sum(axis=1), 1, rtol=0, atol=rounding(48))


def test_joined_rows_are_clustered_and_scored_in_place_of_the_fusion() -> None:
    """Two groups differ in their latents alone; images and texts would divide the class otherwise."""
    images, texts, latents = features(20)
    images[:] = images[0]
    texts[:] = texts[0]
    latents[10:] += 50
    joined = three_way(images, texts, latents)
    result = derived((images, texts, latents), 2, contamination=0.0, joined=joined)
    groups = sorted(prototype.members.tolist() for prototype in result.prototypes)
    assert groups == [list(range(10)), list(range(10, 20))]
    for prototype in result.prototypes:
        rows = joined[prototype.members].astype(float)
        means = (rows @ rows.T).sum(axis=1) - 1
        bound = rounding(len(rows) + rows.shape[1] + 3, largest=len(rows)) / 9
        numpy.testing.assert_allclose(prototype.scores, means / 9, rtol=0, atol=bound)
        assert prototype.alpha is None
