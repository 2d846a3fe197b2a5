from __future__ import annotations

import pytest
import torch

from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.models.training import one_cycle, one_cycle_share


def test_it_minimises_and_reports() -> None:
    value = torch.nn.Parameter(torch.tensor([3.0]))
    events: list[Event] = []
    seen: list[int] = []
    one_cycle(
        "embedder",
        [value],
        lambda: (value**2).sum(),
        steps=200,
        lr=0.1,
        progress=Progress(events.append, "finetune"),
        after_step=seen.append,
    )
    assert abs(value.item()) < 0.1
    assert seen == list(range(1, 201))
    assert events[-1] == Event("finetune embedder steps", 200, 200)


def test_a_loss_that_is_not_a_number_is_named() -> None:
    value = torch.nn.Parameter(torch.tensor([1.0]))
    losses = iter([1.0, float("nan")])
    with pytest.raises(
        UvlpError, match=r"loss of the diffuser is not a number: step 2 of 5.*diffuser\.lr=0\.05"
    ):
        one_cycle(
            "diffuser", [value], lambda: (value * next(losses)).sum(), steps=5, lr=0.2, progress=Progress()
        )


@pytest.mark.parametrize("steps", [1, 2, 4, 7, 400])
def test_the_cycle_rises_then_falls_to_zero(steps: int) -> None:
    shares = [one_cycle_share(step, steps) for step in range(1, steps + 1)]
    assert all(0 < share <= 1 for share in shares)
    peak = shares.index(max(shares))
    assert shares[:peak] == sorted(shares[:peak]) and shares[peak:] == sorted(shares[peak:], reverse=True)
    if steps == 400:
        assert max(shares) > 0.99 and shares[-1] < 0.001 and shares[0] < 0.05
