"""The loop of methods that optimise: resuming, damage, losses that are not finite, and the meter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.flipping import flip
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.core.seeds import torch_generator
from uvlp.methods.algorithms.optimising import optimisation
from uvlp.methods.algorithms.optimising.optimisation import FILE, Meter, run


class Killed(Exception):
    """Interrupts a run."""


class Walk:
    """A random walk with momentum, as an optimisation; stops at an iteration."""

    def __init__(self, killed_at: int = 0, nan_at: int = 0) -> None:
        self.iterations, self.meter, self.fix = 6, Meter("cpu"), "walk slower"
        self.killed_at, self.nan_at = killed_at, nan_at
        self.pixels, self.speed = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)

    def step(self, iteration: int) -> Tensor:
        if iteration == self.killed_at:
            raise Killed
        with self.meter.network(2):
            push = torch.randn(self.pixels.shape, generator=torch_generator(0, "walk", iteration))
            self.speed = 0.9 * self.speed + push
        self.pixels = self.pixels + 0.1 * self.speed
        return self.pixels.square().sum() * (float("nan") if iteration == self.nan_at else 1.0)

    def state(self) -> dict[str, Tensor]:
        return {"pixels": self.pixels, "speed": self.speed}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.pixels, self.speed = state["pixels"], state["speed"]

    def images(self) -> Tensor:
        return self.pixels


@pytest.fixture(autouse=True)
def save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimisation, "SAVE_EVERY_S", 0.0)


def finished(walk: Walk, partial: Path) -> Tensor:
    run("a walk", walk, "cpu", Progress(), partial)
    return walk.images()


@pytest.mark.parametrize("killed_at", range(1, 7))
def test_a_resumed_run_gives_the_same_bytes(tmp_path: Path, killed_at: int) -> None:
    expected = finished(Walk(), tmp_path / "whole")
    with pytest.raises(Killed):
        finished(Walk(killed_at=killed_at), tmp_path / "killed")
    resumed = Walk()
    steps: list[int] = []
    step = resumed.step
    resumed.step = lambda iteration: steps.append(iteration) or step(iteration)  # type: ignore[func-returns-value,method-assign]
    assert torch.equal(finished(resumed, tmp_path / "killed"), expected)
    assert steps == list(range(killed_at, 7))


def test_a_damaged_state_is_named_and_the_optimisation_restarts(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        finished(Walk(killed_at=4), tmp_path)
    flip(tmp_path / FILE)
    events: list[Event] = []
    walk = Walk()
    run("a walk", walk, "cpu", Progress(events.append), tmp_path)
    assert torch.equal(walk.images(), finished(Walk(), tmp_path / "whole"))
    assert any(FILE in event.message and "restarts" in event.message for event in events)


def test_a_loss_that_is_not_finite_is_named_and_never_saved(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        finished(Walk(nan_at=3), tmp_path)
    assert "a walk" in caught.value.what and "step 3 of 6" in caught.value.what
    assert caught.value.fix == "walk slower"
    with pytest.raises(Killed):
        finished(Walk(killed_at=3), tmp_path)


def test_the_meter_counts_images_and_reports_their_speed(tmp_path: Path) -> None:
    events: list[Event] = []
    walk = Walk()
    run("a walk", walk, "cpu", Progress(events.append), tmp_path)
    assert walk.meter.images == 12 and walk.meter.seconds > 0
    assert any("images/s" in event.message and "%" in event.message for event in events)
