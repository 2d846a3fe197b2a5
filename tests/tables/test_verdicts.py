"""Verdicts on published numbers, against scipy's Welch test on the same data."""

from dataclasses import replace

import numpy
import pytest
from scipy import stats

from uvlp.tables import verdicts
from uvlp.tables.published import Published
from uvlp.tables.verdicts import judge

PUBLISHED = Published(
    source="a-readme",
    table="t",
    dataset="imagenette",
    protocol="minimax",
    network="resnet-ap-10",
    ipc=10,
    method="uvlp",
    mean_pct=63.0,
    std_pct=0.4,
    network_inferred=False,
    validation_set="ilsvrc",
    ddof=0,
)


@pytest.mark.parametrize("seed", range(5))
def test_interval_agrees_with_welchs_test(seed: int) -> None:
    draws = numpy.random.default_rng(seed)
    measured, reference = draws.normal(62, 1, 4 + seed), draws.normal(63, 0.5, 3)
    published = replace(PUBLISHED, mean_pct=float(reference.mean()), std_pct=float(reference.std()), n=3)
    verdict = judge(measured.tolist(), [0] * len(measured), published)
    expected = stats.ttest_ind(measured, reference, equal_var=False).confidence_interval()
    assert (verdict.low_points, verdict.high_points) == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([63.1, 62.9, 63.2], verdicts.REPRODUCED),
        ([60.1, 59.9, 60.2], verdicts.NOT_REPRODUCED),
        ([67.0, 60.0, 63.0], verdicts.CANNOT_TELL),
        ([63.0], verdicts.CANNOT_TELL),
    ],
)
def test_kind_of_verdict(values: list[float], kind: str) -> None:
    assert judge(values, [0] * len(values), PUBLISHED).kind == kind


def test_further_trainings_are_the_fewest_that_decide() -> None:
    """That many more trainings of the same spread change the verdict, one fewer does not."""
    values = [67.0, 60.0, 63.0]
    verdict = judge(values, [0, 0, 0], PUBLISHED)
    assert verdict.further is not None and "further trainings would decide" in verdict.show()
    spread = float(numpy.std(values, ddof=1))
    for more, decided in ((verdict.further, True), (verdict.further - 1, False)):
        n = len(values) + more
        pattern = (
            numpy.resize([1.0, -1.0], n)
            if n % 2 == 0
            else numpy.append(numpy.resize([1.0, -1.0], n - 1), 0.0)
        )
        larger = numpy.mean(values) + pattern * spread / numpy.std(pattern, ddof=1)
        assert (judge(larger.tolist(), [0] * n, PUBLISHED).kind != verdicts.CANNOT_TELL) is decided


def test_large_published_spread_allows_no_verdict() -> None:
    verdict = judge([63.0, 63.5, 64.0], [0, 0, 0], replace(PUBLISHED, std_pct=5.0))
    assert verdict.kind == verdicts.CANNOT_TELL and verdict.further is None
    assert "no number of trainings" in verdict.show()


def test_interval_of_several_seeds_uses_their_means() -> None:
    values, seeds = [60.0, 60.2, 66.0, 66.2], [0, 0, 1, 1]
    verdict = judge(values, seeds, PUBLISHED)
    assert verdict.kind == verdicts.CANNOT_TELL, "two seeds that differ by six points"
    assert judge(values, [0] * 4, PUBLISHED).high_points < verdict.high_points  # type: ignore[operator]


def test_different_test_images_are_not_comparable() -> None:
    verdict = judge([63.0, 63.1], [0, 0], PUBLISHED, why_not="fastai's test images, published on ilsvrc's")
    assert verdict.kind == verdicts.NOT_COMPARABLE and verdict.low_points is None
    assert "published on ilsvrc's" in verdict.show()
