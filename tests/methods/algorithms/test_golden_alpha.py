"""Golden data of the α searches: golden_section, class_stats, fisher_alpha, align_scale, refine_class,
cluster_alpha."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy
import pytest
import torch

from tests.methods.algorithms.golden_cases import Case, golden, groups
from tests.tolerances import rounding
from uvlp.methods.algorithms.alpha import class_alpha, cluster_alpha, global_alpha
from uvlp.methods.algorithms.alpha.global_alpha import align_rule, statistics
from uvlp.methods.algorithms.alpha.golden_section import maximise
from uvlp.methods.algorithms.alpha.nearest_names import OtherNames
from uvlp.methods.algorithms.fusion import Pairs

STATISTIC = rounding(768 + 16)
"""Of means of cosines of 768 numbers in float32; another weight or class changes the second digit."""
OBJECTIVE = 8 * STATISTIC
"""Of an objective: two statistics, whose weights reach 3.6."""
EXACT = rounding(16, torch.float64)
"""Of a few operations on a number below one in float64."""
ALPHA = 2e-3
"""The last bracket of the golden section is 7e-4 wide: a plateau's ends, and half a bracket at each."""

FUNCTIONS: dict[str, Callable[[float, list[float]], float]] = {
    "quad": lambda x, p: -((x - p[0]) ** 2),
    "abs": lambda x, p: -abs(x - p[0]),
    "sin": lambda x, p: math.sin(p[0] * x + p[1]),
    "step": lambda x, p: float(math.floor(p[0] * x)),
    "const": lambda x, p: p[0],
    "linear": lambda x, p: p[0] * x + p[1],
    "twopeak": lambda x, p: math.cos(p[0] * x) + p[1] * x,
    "cubic": lambda x, p: x**3 - p[0] * x,
    "f32quad": lambda x, p: float(-((numpy.float32(x) - numpy.float32(p[0])) ** 2) + numpy.float32(p[1])),
}


def evaluations(objective: Callable[[float], float], low: float, high: float, **options: object) -> list:
    """(x, f) of every evaluation in a search, including the final midpoint as in the reference."""
    seen: list[tuple[float, float]] = []

    def watched(x: float) -> float:
        seen.append((x, objective(x)))
        return seen[-1][1]

    watched(maximise(watched, low, high, **options))  # type: ignore[arg-type]
    return seen


@golden("golden_section")
def test_golden_section_evaluates_the_same_points(case: Case) -> None:
    def objective(x: float) -> float:
        return FUNCTIONS[case["in.fname"]](x, case["in.p"].tolist())

    low, high, tolerance = case["in.lo"], case["in.hi"], case["in.tol"]
    versions = {"pkg": {"version": "package"}} | {
        f"nb{rounds}": {"version": "notebook", "max_rounds": rounds} for rounds in (40, 32, 5)
    }
    for key, options in versions.items():
        seen = evaluations(objective, low, high, tolerance=tolerance, **options)
        wanted = case[f"out.{key}.evals"]
        assert len(seen) == len(wanted), key
        numpy.testing.assert_allclose(numpy.array(seen), wanted, atol=rounding(10, largest=8.0), rtol=0)
        assert seen[-1][0] == pytest.approx(case[f"out.{key}.x"], abs=rounding(80, torch.float64, 8.0))


@golden("class_stats")
def test_class_statistics(case: Case) -> None:
    classes = global_alpha.split_classes(case["in.img"], case["in.txt"], case["in.sizes"])
    result = statistics(classes, case["in.tau"], case["in.alphas"].tolist())
    for curve in ("intra", "inter", "align"):
        got = [getattr(value, curve) for value in result]
        numpy.testing.assert_allclose(got, case[f"out.{curve}"], atol=STATISTIC, rtol=0)


@pytest.mark.parametrize("version", ["notebook", "package"])
@golden("fisher_alpha")
def test_fisher_alpha(case: Case, version: str) -> None:
    def wanted(key: str) -> float:
        return case.notebook(key) if version == "notebook" else case[f"out.pkg.{key}"]

    result = global_alpha.global_alpha(
        global_alpha.split_classes(case["in.img"], case["in.txt"], case["in.sizes"]),
        case["in.tau"],
        low=case["in.a_min"],
        high=case["in.a_max"],
        weights=tuple(case["in.weights"].tolist()),
        version=version,  # type: ignore[arg-type]
    )
    objective = result.objective
    for curve in ("inter", "intra", "align"):
        assert objective.weights[curve] == pytest.approx(wanted(f"w_{curve}"), abs=STATISTIC)
        assert objective.medians[curve] == pytest.approx(wanted(f"{curve}_med"), abs=STATISTIC)
        assert objective.deviations[curve] == pytest.approx(wanted(f"{curve}_mad"), abs=STATISTIC)
    if version == "package":
        grid = [objective(alpha) for alpha in case["out.grid_x"].tolist()]
        # Each statistic is divided by its spread over the grid.
        bound = STATISTIC / min(objective.deviations.values())
        numpy.testing.assert_allclose(grid, case["out.pkg.grid_f"], atol=bound, rtol=0)
    assert result.before_local == pytest.approx(wanted("alpha_before_local"), abs=ALPHA)
    assert result.alpha == pytest.approx(wanted("alpha"), abs=ALPHA)


@golden("align_scale")
def test_align_scale(case: Case) -> None:
    for index, similarity in enumerate(case["in.r_c"].tolist()):
        rule = align_rule(similarity)
        wanted = [case[f"out.{key}"][index] for key in ("g", "align_scale", "a_lo", "a_hi")]
        assert [rule.gate, rule.align_scale, rule.low, rule.high] == pytest.approx(wanted, abs=EXACT)


@golden("refine_class")
def test_class_alpha_of_the_notebook(case: Case) -> None:
    features = case["in.img"], case["in.txt"], case["in.tau"], case["in.alpha_global"]
    options = {
        "align_weight": case["in.align_weight"],
        "prior_weight": case["in.lam"],
        "low": case["in.a_min"],
        "high": case["in.a_max"],
    }
    objective = class_alpha.class_objective(Pairs(*features[:2]), *features[2:], **options)
    assert objective.intra_weight == pytest.approx(case["out.nb.w_intra"], abs=STATISTIC)
    assert objective.align_weight == pytest.approx(case["out.nb.w_align"], abs=OBJECTIVE)
    grid = [objective(alpha) for alpha in case["out.nb.grid_x"].tolist()]
    numpy.testing.assert_allclose(grid, case["out.nb.grid_f"], atol=OBJECTIVE, rtol=0)
    assert class_alpha.class_alpha(*features, **options) == pytest.approx(case["out.nb.alpha"], abs=ALPHA)
    assert class_alpha.class_alpha(*features) == pytest.approx(case["out.nb_defaults.alpha"], abs=ALPHA)


@golden("refine_class")
def test_class_alpha_of_the_package(case: Case) -> None:
    images, texts, name = case["in.img"], case["in.txt"], case["in.tau"]
    alpha, delta = case["in.alpha_global"], case["in.delta"]
    interval = class_alpha.package_interval(alpha, delta)
    assert interval == pytest.approx((case["out.pkg.lo"], case["out.pkg.hi"]), abs=EXACT)
    objective = class_alpha.package_objective(Pairs(images, texts), name)
    grid = [objective(x) for x in case["out.pkg.grid_x"].tolist()]
    numpy.testing.assert_allclose(grid, case["out.pkg.grid_f"], atol=STATISTIC, rtol=0)
    result = class_alpha.package_class_alpha(images, texts, name, alpha, delta)
    assert result == pytest.approx(case["out.pkg.alpha"], abs=ALPHA)


@pytest.fixture(scope="module")
def shared() -> Case:
    """The arrays that the cases of cluster_alpha refer to by repetition."""
    return groups("cluster_alpha")["shared"]


@golden("cluster_alpha")
def test_cluster_alpha(case: Case, shared: Case) -> None:
    def array(name: str) -> numpy.ndarray:
        return shared[f"shared.rep{case['in.rep']:02d}.{name}"]

    around = cluster_alpha.ClusterContext(
        name=array("tau_pos") if case["in.has_tau_pos"] else None,
        other_names=OtherNames(array("tau_neg")[: case["in.n_neg"]]) if case["in.has_tau_neg"] else None,
        other_centres=array("other_centers") if case["in.has_other"] else None,
    )
    prior = case["in.alpha_prior"] if case["in.has_prior"] else None
    options = {} if math.isnan(case["in.lambda_prior"]) else {"prior_weight": case["in.lambda_prior"]}
    pairs = Pairs(array("img"), array("txt"))
    result = cluster_alpha.cluster_alpha(
        pairs, around, prior=prior, align_weight=case["in.w_align"], **options
    )
    weights = [getattr(result.weights, term) for term in ("intra", "align", "margin", "separation")]
    numpy.testing.assert_allclose(weights, case.notebook("weights"), atol=STATISTIC, rtol=0)
    cluster = cluster_alpha.Cluster(pairs, around)
    objective = cluster_alpha.cluster_objective(
        cluster, prior, options.get("prior_weight", 0.6), case["in.w_align"]
    )
    grid = [objective(alpha) for alpha in case["out.grid_x"].tolist()]
    numpy.testing.assert_allclose(grid, case["out.pkg.grid_f"], atol=STATISTIC, rtol=0)
    if abs(result.alpha - case.notebook("alpha")) > ALPHA:
        # A plateau: another α is as good if its value equals the best up to rounding.
        assert objective(result.alpha) >= max(case["out.pkg.grid_f"]) - STATISTIC
        return
    terms = cluster.terms(case.notebook("alpha"))
    got = [terms.intra, terms.align, terms.margin]
    numpy.testing.assert_allclose(got, case.notebook("metrics"), atol=STATISTIC, rtol=0)
