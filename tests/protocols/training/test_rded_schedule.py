"""The RDED schedule where the golden records say nothing."""

from __future__ import annotations

import pytest

from uvlp.protocols.training.rded_rules import learning_rate, validated_epochs


@pytest.mark.parametrize(
    ("epochs", "period", "start", "expected"),
    [
        (1, 10, 0.8, (1,)),
        (5, 10, 0.8, (5,)),
        (305, 10, 0.8, (250, 260, 270, 280, 290, 300, 305)),
        (20, 2, 0.5, (12, 14, 16, 18, 20)),
        (4, 1, 0.0, (2, 3, 4)),
        (4, 1, 1.0, (4,)),
    ],
)
def test_the_last_epoch_is_validated(
    epochs: int, period: int, start: float, expected: tuple[int, ...]
) -> None:
    assert validated_epochs(epochs, period, start) == expected


def test_the_half_cosine_ends_above_half() -> None:
    rates = [learning_rate(epoch, 300, 0.001, "half-cosine") for epoch in range(1, 301)]
    assert rates[0] == 0.001 and rates == sorted(rates, reverse=True)
    assert 0.0005 < rates[-1] < 0.000503
