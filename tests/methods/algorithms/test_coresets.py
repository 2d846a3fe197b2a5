"""Herding and k-center: golden picks, ties, errors."""

from __future__ import annotations

import json

import numpy
import pytest
import torch

from tests.methods.algorithms.golden_cases import GOLDEN
from tests.tolerances import rounding
from uvlp.core.errors import UvlpError
from uvlp.methods.algorithms.coresets import herding, k_center


def coreset_cases() -> list[dict]:
    cases = json.loads((GOLDEN / "evaluation" / "baselines.json").read_text(encoding="utf-8"))["coresets"]
    assert cases, "baselines.json has no coresets"
    return list(cases)


def hash_u(count: int, key: int) -> numpy.ndarray:
    """The deterministic generator of the golden data, float64 [count] in [-1, 1)."""
    limit = (1 << 32) - 1
    values = []
    for index in range(count):
        x = ((index + 1) * 2654435761 + (key + 1) * 2246822519) & limit
        x = ((x ^ (x >> 15)) * 2246822519) & limit
        x = ((x ^ (x >> 13)) * 3266489917) & limit
        values.append((x ^ (x >> 16)) / 2147483648 - 1)
    return numpy.array(values)


def features(count: int, dimensions: int, key: int) -> numpy.ndarray:
    groups = hash_u(3 * dimensions, key + 1).reshape(3, dimensions)
    return hash_u(count * dimensions, key).reshape(count, dimensions) + 1.5 * groups[numpy.arange(count) % 3]


def test_picks_are_those_of_the_golden_data() -> None:
    for case in coreset_cases():
        check_picks(case)


def check_picks(case: dict) -> None:
    points = features(case["n"], case["dim"], case["k"])
    picks = herding(points, case["m"])
    bound = rounding(case["n"] + case["dim"] + 4, torch.float64, largest=3.0 * case["dim"] ** 0.5)
    assert picks == case["herding"], f"k = {case['k']}"
    gap = numpy.linalg.norm(points[picks].mean(axis=0) - points.mean(axis=0))
    assert gap == pytest.approx(case["herding_mean_gap"], rel=0, abs=bound)
    for first, name, radius in (
        ("mean", "kcenter_from_mean", "kcenter_radius"),
        ("index0", "kcenter_from_index0", "kcenter0_radius"),
    ):
        picks = k_center(points, case["m"], first)
        assert picks == case[name], f"k = {case['k']}"
        distances = numpy.linalg.norm(points[:, None] - points[picks], axis=2).min(axis=1)
        assert distances.max() == pytest.approx(case[radius], rel=0, abs=bound)


@pytest.mark.parametrize("select", [herding, k_center])
def test_equal_rows_are_each_picked_once_in_order(select) -> None:
    assert select(numpy.ones((4, 3)), 4) == [0, 1, 2, 3]
    with pytest.raises(UvlpError) as caught:
        select(numpy.ones((4, 3)), 5)
    assert (caught.value.got, caught.value.allowed) == (4, "at least 5")


def test_an_unknown_first_pick_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        k_center(numpy.ones((4, 3)), 2, "median")
    assert (caught.value.got, caught.value.allowed) == ("median", "mean, index0")
