"""Where a further training falls."""

import pytest

from uvlp.tables.prediction import prediction_interval_pct


def test_the_interval_of_three_values_by_hand() -> None:
    """t of 2 degrees of freedom at 5 %, 4.3027 (Student's table), times s = 1 times sqrt(4/3)."""
    assert prediction_interval_pct((49.0, 50.0, 51.0), 0.05) == pytest.approx((45.032, 54.968), abs=1e-3)


def test_the_mean_of_three_further_ones_by_hand() -> None:
    """t of 2 degrees of freedom at 5 %, 4.3027, times s = 1 times sqrt(1/3 + 1/3)."""
    interval = prediction_interval_pct((49.0, 50.0, 51.0), 0.05, further=3)
    assert interval == pytest.approx((46.487, 53.513), abs=1e-3)


def test_it_ends_at_0_and_100() -> None:
    assert prediction_interval_pct((0.0, 100.0), 0.05) == (0.0, 100.0)


@pytest.mark.parametrize("values", [(), (50.0,), (50.0, 50.0)])
def test_without_a_spread_there_is_none(values: tuple[float, ...]) -> None:
    assert prediction_interval_pct(values, 0.05) is None
