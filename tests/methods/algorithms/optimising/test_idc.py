"""IDC-1: an update against its equations in float64, the schedule, resuming, and its draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from tests.methods.algorithms.optimising.small_inputs import small_inputs
from tests.tolerances import depth, rounding
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, numpy_generator
from uvlp.methods.algorithms.coresets import random_rows
from uvlp.methods.algorithms.optimising import idc, optimisation
from uvlp.methods.algorithms.optimising.idc import Condensation, learning_rate
from uvlp.methods.algorithms.optimising.siamese_augmentation import Draws, draw
from uvlp.methods.idc_1 import Settings
from uvlp.networks.parts.seeded import seeded

SETTINGS = Settings(
    outer=2, inner=3, real_batch=4, train_images=7, pretrain_epochs=2, width=4, lr=100.0, lr_px=16
)
NETWORK = "convnet-2"
CLASSES, PER_CLASS, IPC = 3, 6, 2  # those of `small_inputs`


@pytest.fixture
def float64() -> Iterator[None]:
    """Networks and pixels are created in the default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def condensation(settings: Settings = SETTINGS, **changes: Any) -> Condensation:
    return Condensation(small_inputs(**changes), settings, NETWORK, Progress())


def augmented(images: Tensor, draws: Draws) -> Tensor:
    """Colour, crop and cutout of normalised images, in the published code's formulas."""
    side = images.shape[2]
    images = images + float(draws.brightness[0])
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * float(draws.saturation[0])
    mean = images.flatten(1).mean(1)[:, None, None, None]
    images = mean + (images - mean) * float(draws.contrast[0])
    down, right = draws.shift[0].tolist()
    images = pad(images, (side, side, side, side))[..., side + down :, side + right :][..., :side, :side]
    mask = torch.ones(side, side)
    top, left = (draws.cutout[0] - side // 4).tolist()
    mask[max(0, top) : top + side // 2, max(0, left) : left + side // 2] = 0
    return images * mask


def gradients(network: nn.Module, images: Tensor, label: int) -> list[Tensor]:
    loss = cross_entropy(network(images), torch.tensor([label] * len(images)))
    found = torch.autograd.grad(loss, list(network.parameters()), create_graph=True)
    return [each for each in found if each.dim() == 4]


@pytest.mark.parametrize("distance", ["l1", "mse"])
def test_an_update_follows_the_equations(float64: None, distance: str) -> None:
    """One step of all classes with an untrained network: one after the other, SGD on all pixels."""
    settings = replace(SETTINGS, pretrain_epochs=0, distance=distance, lr=0.01)
    made, inputs = condensation(settings), small_inputs()
    # The constants of the protocol are float32.
    mean, std = (
        torch.tensor(values, dtype=torch.float32).double()[:, None, None]
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    real = [torch.from_numpy(np.stack(data.originals(data.rows))) for data in inputs.classes]
    real = [(images.permute(0, 3, 1, 2).double() / 255 - mean) / std for images in real]
    start = [[row % PER_CLASS for row in random_rows(data, IPC, 0)] for data in inputs.classes]
    pixels = torch.cat([images[rows] for images, rows in zip(real, start, strict=True)]) * std + mean
    first, speed = pixels.clone(), torch.zeros_like(pixels)
    seed = derive(0, "idc-1", "network", 0)
    network = seeded(NETWORK, classes=CLASSES, size_px=16, width=4, seed=seed)
    total, largest = 0.0, 1.0
    for index in range(CLASSES):
        generator = numpy_generator(0, "idc-1", "match", 1, index)
        rows = generator.choice(PER_CLASS, size=4, replace=False)
        own = np.sort(generator.choice(IPC, size=IPC, replace=False)) + IPC * index
        draws = draw(generator, ("colour", "crop", "cutout"), 16)
        leaf = pixels.clone().requires_grad_()
        target = gradients(network, augmented(real[index][rows], draws), index)
        synthetic = gradients(network, augmented((leaf[own] - mean) / std, draws), index)
        power = {"l1": 1, "mse": 2}[distance]
        loss = sum(((a - b.detach()).abs() ** power).sum() for a, b in zip(synthetic, target, strict=True))
        assert isinstance(loss, Tensor)
        loss.backward()
        assert leaf.grad is not None
        speed = 0.5 * speed + leaf.grad
        pixels = pixels - 0.01 * IPC / 10 * speed
        total, largest = total + float(loss.detach()), max(largest, float(speed.abs().max()))
    # Forward, backward and backward again through the network, and a sum over pixels or weights.
    bound = rounding(9 * depth(network) + 1000, torch.float64, largest=10 * largest)
    torch.testing.assert_close(float(made.step(1)), total, rtol=0, atol=bound)
    torch.testing.assert_close(made.images(), pixels, rtol=0, atol=bound)
    assert float((pixels - first).abs().max()) > 1e3 * bound


def test_the_learning_rate_is_that_of_the_paper_at_its_setting() -> None:
    assert learning_rate(3e-3, 224, 10, 224) == 3e-3
    assert learning_rate(3e-3, 224, 50, 224) == pytest.approx(5 * 3e-3, rel=1e-15)
    assert learning_rate(5e-3, 32, 1, 32) == pytest.approx(5e-4, rel=1e-15)
    assert learning_rate(3e-3, 224, 10, 112) == pytest.approx(3e-3 / 4, rel=1e-15)


def test_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new network per outer iteration, epochs before and batches between the steps, pixels clipped."""
    made = condensation()
    events: list[str] = []
    start_network, match, train = made._start_network, made._match, made._train

    def started(outer: int) -> None:
        events.append(f"network {outer}")
        inside = made.images()
        assert float(inside.min()) >= 0 and float(inside.max()) <= 1
        start_network(outer)

    def matched(iteration: int, index: int) -> Tensor:
        events.append(f"match {iteration} {index}")
        return match(iteration, index)

    def trained(rows: np.ndarray, generator: np.random.Generator) -> None:
        assert len(set(rows.tolist())) == len(rows)
        events.append(f"train {len(rows)}")
        train(rows, generator)

    monkeypatch.setattr(made, "_start_network", started)
    monkeypatch.setattr(made, "_match", matched)
    monkeypatch.setattr(made, "_train", trained)
    outside = 0
    for iteration in range(1, made.iterations + 1):
        made.step(iteration)
        outside += int(((made.images() < 0) | (made.images() > 1)).sum())
    expected = []
    for outer in range(2):
        expected += [f"network {outer}", "train 18", "train 18"]
        for inner in range(3):
            expected += [f"match {3 * outer + inner + 1} {index}" for index in range(CLASSES)]
            # Whole batches of 4 until there are 7; none after the last step with a network.
            expected += ["train 8"] if inner < 2 else []
    assert events == expected
    assert outside > 0, "the large learning rate leaves [0, 1] between two networks"
    assert made.meter.images == 2 * (2 * 18 + 3 * CLASSES * (4 + IPC) + 2 * 8)


def test_a_killed_run_is_resumed_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before any iteration: in the middle of a network, or as one starts."""
    monkeypatch.setattr(optimisation, "SAVE_EVERY_S", 0.0)
    expected = condensation()
    optimisation.run("IDC-1", expected, "cpu", Progress(), tmp_path / "whole")
    for killed_at in range(2, expected.iterations + 1):
        killed, resumed = condensation(), condensation()
        partial = tmp_path / f"killed at {killed_at}"

        def step(iteration: int, killed: Condensation = killed, killed_at: int = killed_at) -> Tensor:
            if iteration == killed_at:
                raise KeyboardInterrupt
            return Condensation.step(killed, iteration)

        monkeypatch.setattr(killed, "step", step)
        with pytest.raises(KeyboardInterrupt):
            optimisation.run("IDC-1", killed, "cpu", Progress(), partial)
        optimisation.run("IDC-1", resumed, "cpu", Progress(), partial)
        assert torch.equal(resumed.images(), expected.images()), killed_at


def test_the_seed_decides_about_images_networks_and_draws() -> None:
    first, second, again = condensation(seed=0), condensation(seed=1), condensation(seed=0)
    assert not torch.equal(first.images(), second.images())
    loss = float(first.step(1))
    assert loss == float(again.step(1)) and loss != float(second.step(1))


def test_of_many_synthetic_images_some_take_part_in_a_step() -> None:
    made = condensation(replace(SETTINGS, synthetic_batch=1))
    before = made.images().clone()
    made.step(1)
    moved = (made.images() != before).flatten(1).any(1).reshape(CLASSES, IPC).sum(1)
    assert moved.tolist() == [1] * CLASSES


def test_networks_learn_from_fewer_images_than_asked_for_if_there_are_no_more() -> None:
    made = condensation(replace(SETTINGS, train_images=1000))
    assert len(made._some_images(np.random.default_rng(0))) == CLASSES * PER_CLASS


def test_a_network_without_convolutions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, CLASSES))
    monkeypatch.setattr(idc, "seeded", lambda *_, **__: linear)
    with pytest.raises(UvlpError) as caught:
        condensation()
    assert NETWORK in str(caught.value.got)
