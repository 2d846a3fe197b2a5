"""The nearest class names are those of a comparison with every name, found with few comparisons."""

from __future__ import annotations

import numpy
import pytest

from uvlp.methods.algorithms.alpha.nearest_names import NearestNames, OtherNames
from uvlp.methods.algorithms.fusion import Pairs, unit

WIDTH = 64


def pairs(draw: numpy.random.Generator, count: int, spread: float) -> Pairs:
    """Images and captions around two directions, the wider the larger ``spread``."""
    centres = unit(draw.normal(size=(2, 1, WIDTH)))
    images, texts = unit(centres + spread * unit(draw.normal(size=(2, count, WIDTH)))).astype(numpy.float32)
    return Pairs(images, texts)


@pytest.mark.parametrize("spread", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("others", [1, 3, 4, 500])
def test_they_are_those_of_a_comparison_with_all(others: int, spread: float) -> None:
    draw = numpy.random.default_rng(others)
    for count in (1, 2, 30):
        given = pairs(draw, count, spread)
        rows = draw.normal(size=(others, WIDTH)).astype(numpy.float32)  # not even of unit length
        rows[others // 2 :] += 3 * given.texts[0]
        nearest = NearestNames(OtherNames(rows), given)
        for alpha in (0.0, 0.2, 0.5, 0.8, 1.0):
            _, centre = given.centroid(alpha)
            wanted = numpy.sort(rows @ centre)[-3:]
            numpy.testing.assert_allclose(nearest.cosines(centre, alpha, 3), wanted, rtol=1e-13, atol=1e-14)


def test_opposite_means_and_equal_names_are_compared_exactly() -> None:
    """b = 0 predicts nothing, and all of many equal names may be among the nearest."""
    row = unit(numpy.random.default_rng(0).normal(size=(1, WIDTH))).astype(numpy.float32)
    given = Pairs(row, -row)
    rows = numpy.repeat(row, 9, axis=0)
    nearest = NearestNames(OtherNames(rows), given)
    for alpha in (0.2, 0.5, 0.8):
        _, centre = given.centroid(alpha)
        wanted = numpy.sort(rows @ centre)[-3:]
        numpy.testing.assert_allclose(nearest.cosines(centre, alpha, 3), wanted, rtol=1e-13, atol=1e-14)


def test_few_of_many_names_are_compared() -> None:
    draw = numpy.random.default_rng(1)
    given = pairs(draw, 30, 0.3)
    rows = unit(draw.normal(size=(2000, WIDTH))).astype(numpy.float32)
    nearest = NearestNames(OtherNames(rows), given)
    compared = [
        int(nearest._candidates(given.centroid(alpha)[1], numpy.array([alpha, 1 - alpha]), 3).sum())
        for alpha in (0.2, 0.4, 0.6, 0.8)
    ]
    assert min(compared) >= 3 and max(compared) < 200, compared
