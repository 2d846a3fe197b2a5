"""Golden data of UVLP's derivation: lof, spherical_kmeans, derive_prototypes, uvlp_full_chain."""

from __future__ import annotations

import math

import numpy
import pytest

from tests.methods.algorithms.golden_cases import Case, golden
from tests.tolerances import rounding
from uvlp.methods.algorithms.alpha.class_alpha import class_alpha, package_class_alpha
from uvlp.methods.algorithms.alpha.global_alpha import align_rule, global_alpha, split_classes
from uvlp.methods.algorithms.clustering.outliers import find_outliers
from uvlp.methods.algorithms.clustering.spherical_kmeans import SphericalClusters, spherical_kmeans
from uvlp.methods.algorithms.fusion import fuse, unit
from uvlp.methods.algorithms.uvlp_prototypes import ClusteringResult, ClusterPrototype, derive

STATISTIC = rounding(768 + 16)
"""Of means of cosines of 768 numbers in float32; another member, weight or row changes the second digit."""
INERTIA = STATISTIC * 300**0.5
"""Of a sum of such over 300 rows, whose roundings are as often up as down."""
ALPHA, TIE = 2e-3, 1e-6
"""The last bracket of the golden section is 7e-4 wide: a plateau's ends, and half a bracket at each. Scores
that are nearer than a tie may be ranked either way (README of the golden data)."""


@golden("lof")
def test_outliers(case: Case) -> None:
    result = find_outliers(case["in.X"], case["in.contamination"])
    assert result.neighbours == case["out.n_neighbors_used"]
    numpy.testing.assert_allclose(result.factors, case["out.negative_outlier_factor"], rtol=STATISTIC)
    assert result.threshold == pytest.approx(case["out.offset"], rel=STATISTIC)
    numpy.testing.assert_array_equal(result.inliers, case["out.inliers"])


class Recorder(numpy.random.RandomState):
    """The legacy generator, recording its draws."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.starts: list[list[int]] = []
        self.refills: list[int] = []

    def choice(self, *args: object, **options: object) -> numpy.ndarray:  # type: ignore[override]
        drawn = super().choice(*args, **options)  # type: ignore[call-overload]
        self.starts.append(drawn.tolist())
        return drawn

    def randint(self, *args: object, **options: object) -> int:  # type: ignore[override]
        self.refills.append(super().randint(*args, **options))  # type: ignore[call-overload]
        return self.refills[-1]


@golden("spherical_kmeans")
def test_spherical_kmeans(case: Case) -> None:
    clusters, seed = case["in.n_clusters"], case["in.seed"]
    restarts, limit = case["in.n_init"], case["in.max_iter"]
    random = Recorder(seed)
    result = spherical_kmeans(case["in.X"], clusters, random, restarts=restarts, max_iterations=limit)
    if "'dup'" in case["desc"]:
        # Fewer distinct rows than clusters: ties between equal rows are decided by a product's last bits,
        # which changes the number of draws per restart. The first start and the inertia do not change.
        assert random.starts[0] == case["out.init_indices"][0].tolist()
        assert result.inertia == pytest.approx(case["out.inertia"], abs=INERTIA)
        return
    numpy.testing.assert_array_equal(random.starts, case["out.init_indices"])
    assert len(random.refills) == case["out.n_reseeds"]
    numpy.testing.assert_array_equal(random.refills, case["out.reseed_indices"])
    assert result.inertia == pytest.approx(case["out.inertia"], abs=INERTIA)
    for number, wanted in enumerate(case["out.best_inertia_after_restart"].tolist(), start=1):
        random = Recorder(seed)
        best = spherical_kmeans(case["in.X"], clusters, random, restarts=number, max_iterations=limit)
        assert best.inertia == pytest.approx(wanted, abs=INERTIA)
    match = matching(result.labels, case["out.labels"])
    wanted_centres = case["out.centers"][[match.get(label, label) for label in range(clusters)]]
    used = sorted(match)
    numpy.testing.assert_allclose(result.centres[used], wanted_centres[used], atol=STATISTIC)
    numpy.testing.assert_allclose(quality(case["in.X"], result), case["out.quality"], atol=INERTIA)


def matching(labels: numpy.ndarray, wanted: numpy.ndarray) -> dict[int, int]:
    """The one-to-one map from computed to stored labels; fails if the partitions differ."""
    pairs = set(zip(labels.tolist(), wanted.tolist(), strict=True))
    computed, reference = {computed for computed, _ in pairs}, {reference for _, reference in pairs}
    assert len(pairs) == len(computed) == len(reference), "the partitions differ"
    return dict(pairs)


def quality(features: numpy.ndarray, result: SphericalClusters) -> list[float]:
    """Mean within-cluster cosine averaged over clusters, 1 − mean centre cosine, inertia."""
    points = unit(features.astype(numpy.float32))
    within = [
        float((points[result.labels == k] @ result.centres[k]).mean()) for k in numpy.unique(result.labels)
    ]
    cosines = result.centres @ result.centres.T
    apart = cosines[numpy.triu_indices(len(cosines), 1)]
    spread = 1.0 - float(apart.mean()) if len(apart) else 1.0
    return [float(numpy.mean(within)), spread, result.inertia]


@golden("derive_prototypes")
def test_derivation(case: Case) -> None:
    override = case["in.alpha_override"]
    alpha = case["in.alpha_default"] if math.isnan(override) else override
    result = derive(
        case["in.img"],
        case["in.txt"],
        case["in.latents"].__getitem__,
        name=case.get("in.tau_pos"),
        other_names=case.get("in.tau_neg"),
        ipc=case["in.ipc"],
        class_alpha=alpha,
        align_weight=case["in.align_weight"],
        contamination=case["in.contamination"],
        top_k=case["in.top_k_visual"],
        seed=case["in.seed"],
        prior_weight=case["in.lambda_reg"],
        fill="none",
    )
    numpy.testing.assert_array_equal(result.inliers, case.notebook("inliers"))
    kept = numpy.flatnonzero(result.inliers)
    labels, scores = numpy.empty(len(kept), int), numpy.empty(len(kept))
    for prototype in result.prototypes:
        indices = numpy.searchsorted(kept, prototype.members)
        labels[indices], scores[indices] = prototype.cluster, prototype.scores
    match = matching(labels, case.notebook("labels"))
    order = case.notebook("cluster_ids").tolist()
    assert sorted(match.values()) == order
    stored = case.notebook("hub_scores")
    alone = {p.cluster for p in result.prototypes if len(p.members) == 1}
    numpy.testing.assert_array_equal(numpy.isnan(stored), [label in alone for label in labels])
    numpy.testing.assert_allclose(scores, numpy.nan_to_num(stored, nan=1.0), atol=ALPHA)
    for prototype in result.prototypes:
        row = order.index(match[prototype.cluster])
        check_prototype(case, prototype, row)
        wanted_centres = [case.notebook("centers")[match[prototype.cluster]]]
        if len(kept) == 2 and len(order) == 1:  # either row is as good a centre of both: an exact tie
            wanted_centres = list(fuse(case["in.img"], case["in.txt"], alpha))
        nearest = min(abs(prototype.centre - wanted).max() for wanted in wanted_centres)
        assert nearest <= STATISTIC
        assert prototype.alpha is not None
        weights = prototype.alpha.weights
        wanted = case.notebook("weights")[row]
        got = [weights.intra, weights.align, weights.margin, weights.separation]
        numpy.testing.assert_allclose(got, wanted, atol=STATISTIC)
        chosen = set(case.notebook("selected_sets")[row].tolist()) - {-1}
        check_selection(case, prototype, chosen)
        if prototype.text_index == case.notebook("text_index")[row]:
            top = case["in.latents"][prototype.text_index].astype(numpy.float32)
            numpy.testing.assert_allclose(top, case.notebook("top1_latents")[row], atol=STATISTIC)


def check_prototype(case: Case, prototype: ClusterPrototype, row: int) -> None:
    """Size, α, cosine and text of one prototype; ties in hubness may be broken otherwise."""
    wanted = {key: case.notebook(key)[row] for key in ("alphas", "cluster_size", "avg_imgtxt_sim")}
    assert prototype.alpha is not None
    assert prototype.alpha.alpha == pytest.approx(wanted["alphas"], abs=ALPHA)
    assert len(prototype.members) == wanted["cluster_size"]
    assert prototype.mean_similarity == pytest.approx(wanted["avg_imgtxt_sim"], abs=STATISTIC)
    text = case.notebook("text_index")[row]
    scores = dict(zip(prototype.members.tolist(), prototype.scores.tolist(), strict=True))
    assert text in scores
    assert scores[text] >= max(scores.values()) - 2 * TIE


def check_selection(case: Case, prototype: ClusterPrototype, wanted: set[int]) -> None:
    """Check that the members are the same except for ties, and the latent is their mean."""
    scores = dict(zip(prototype.members.tolist(), prototype.scores.tolist(), strict=True))
    assert len(prototype.selected) == len(wanted)
    computed = sorted(scores[index] for index in prototype.selected)
    reference = sorted(scores[index] for index in wanted)
    numpy.testing.assert_allclose(computed, reference, atol=2 * TIE)
    mean = case["in.latents"][sorted(prototype.selected)].astype(numpy.float32).mean(axis=0)
    numpy.testing.assert_allclose(prototype.latent, mean, atol=STATISTIC)


def chain(case: Case, version: str, fill: str = "none") -> list[tuple[dict[str, float], ClusteringResult]]:
    """Statistics and prototypes of every class, with the α searches of one reference."""
    names = case["in.tau"]
    classes = split_classes(case["in.img"], case["in.txt"], case["in.sizes"])
    ends = numpy.cumsum(case["in.sizes"])
    start = 0.5
    if version == "nb":
        start = global_alpha(classes, names).alpha
    result = []
    for index, pairs in enumerate(classes):
        rule = align_rule(pairs.mean_similarity())
        features = pairs.images, pairs.texts, names[index]
        if version == "nb":
            options = {
                "align_weight": rule.align_scale,
                "prior_weight": 0.6,
                "low": rule.low,
                "high": rule.high,
            }
            alpha = class_alpha(*features, start, **options)
        else:
            alpha = package_class_alpha(*features, start)
        derivation = derive(
            pairs.images,
            pairs.texts,
            case["in.latents"][ends[index] - len(pairs) : ends[index]].__getitem__,
            name=names[index],
            other_names=numpy.delete(names, index, axis=0) if len(names) > 1 else None,
            ipc=case["in.ipc"],
            class_alpha=alpha,
            align_weight=rule.align_scale,
            contamination=case["in.contamination"],
            top_k=case["in.top_k_visual"],
            seed=case["in.seed"],
            fill=fill,  # type: ignore[arg-type]
        )
        statistics = {
            "r_c": pairs.mean_similarity(),
            "align_scale": rule.align_scale,
            "a_lo": rule.low,
            "alpha_class": alpha,
            "alpha_global": start,
        }
        result.append((statistics, derivation))
    return result


@pytest.mark.parametrize("version", ["nb", "pkg_cli"])
@golden("uvlp_full_chain")
def test_full_chain(case: Case, version: str) -> None:
    result = chain(case, version)
    assert len(result) == len(case["in.sizes"])
    if version == "nb":
        assert result[0][0]["alpha_global"] == pytest.approx(case["out.alpha_global"], abs=ALPHA)
    for index, (statistics, derivation) in enumerate(result):
        prefix = f"out.{version}.class{index}."
        for key in ("r_c", "align_scale", "a_lo"):
            assert statistics[key] == pytest.approx(case[prefix + key], abs=STATISTIC)
        assert statistics["alpha_class"] == pytest.approx(case[prefix + "alpha_class"], abs=ALPHA)
        numpy.testing.assert_array_equal(derivation.inliers, case[prefix + "inliers"])
        check_class(case, prefix, derivation)


def check_class(case: Case, prefix: str, derivation: ClusteringResult) -> None:
    """Compare the prototypes of a class with the stored ones, matched by cluster."""
    texts = case[prefix + "text_index"].tolist()
    assert len(derivation.prototypes) == len(texts)
    view = Case(case.name, {f"out.pkg.{key}": case[prefix + key] for key in STORED})
    for prototype in derivation.prototypes:
        row = next(row for row, text in enumerate(texts) if text in prototype.members)
        check_prototype(view, prototype, row)
        if len(prototype.members) > 2:
            wanted = case[prefix + "image_prototypes"][row]
            numpy.testing.assert_allclose(prototype.latent, wanted, atol=STATISTIC)


STORED = ("alphas", "cluster_size", "avg_imgtxt_sim", "text_index", "image_prototypes")
