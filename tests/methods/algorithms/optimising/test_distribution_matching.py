"""DM against its equations in float64, and its draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.methods.algorithms.optimising.small_inputs import small_inputs
from tests.tolerances import depth, rounding
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, numpy_generator
from uvlp.methods.algorithms.coresets import random_rows
from uvlp.methods.algorithms.optimising import distribution_matching
from uvlp.methods.algorithms.optimising.distribution_matching import OPERATIONS, DistributionMatching
from uvlp.methods.algorithms.optimising.siamese_augmentation import augment, draw
from uvlp.methods.dm import Settings
from uvlp.networks.parts.seeded import seeded

SETTINGS = Settings(iterations=3, real_batch=4, width=8, lr=0.7)
NETWORK = "convnet-3"
MEAN, STD = (
    torch.tensor(values, dtype=torch.float64)[:, None, None]
    for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)


def optimisation(**changes: object) -> DistributionMatching:
    return DistributionMatching(small_inputs(**changes), SETTINGS, NETWORK, Progress())  # type: ignore[arg-type]


def test_updates_follow_the_equations_in_float64() -> None:
    """Per class a squared distance between mean features, SGD with momentum (algorithm 1 of the paper)."""
    made, inputs = optimisation(), small_inputs()
    images = [
        torch.from_numpy(np.stack(data.originals(data.rows))).permute(0, 3, 1, 2) for data in inputs.classes
    ]
    start = [random_rows(data, inputs.ipc, inputs.seed) for data in inputs.classes]
    pixels = torch.cat(
        [
            (images[index][[row - data.rows[0] for row in start[index]]].double() / 255 - MEAN) / STD
            for index, data in enumerate(inputs.classes)
        ]
    )
    speed = torch.zeros_like(pixels)
    bound = 0.0
    for iteration in range(1, SETTINGS.iterations + 1):
        seed = derive(inputs.seed, "dm", "network", iteration)
        network = seeded(NETWORK, classes=3, size_px=inputs.size_px, width=8, seed=seed).double()
        pixels.requires_grad_()
        loss = torch.zeros((), dtype=torch.float64)
        for index in range(3):
            generator = numpy_generator(inputs.seed, "dm", "batch", iteration, index)
            rows = generator.choice(6, size=4, replace=False)
            draws = draw(generator, OPERATIONS, inputs.size_px, single=True)
            real = network.embed(augment((images[index][rows].double() / 255 - MEAN) / STD, draws))  # type: ignore[operator]
            own = network.embed(augment(pixels[2 * index : 2 * index + 2], draws))  # type: ignore[operator]
            loss = loss + (real.mean(0) - own.mean(0)).square().sum()
        (gradient,) = torch.autograd.grad(loss, pixels)
        speed = SETTINGS.momentum * speed + gradient
        pixels = (pixels - SETTINGS.lr * speed).detach()
        bound += rounding(3 * depth(network), largest=float(speed.abs().max()))
        expected = float(loss.detach())
        assert abs(float(made.step(iteration)) - expected) <= rounding(depth(network), largest=expected)
    difference = made.images().double() - (pixels * STD + MEAN)
    assert float(difference.abs().max()) <= bound
    assert float((made.images() - optimisation().images()).abs().max()) > 100 * bound


def test_classes_that_share_a_pass_give_the_updates_of_single_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    together = optimisation()
    together.step(1)
    monkeypatch.setitem(distribution_matching.PIXELS_PER_PASS, "cpu", 1)
    alone = optimisation()
    alone.step(1)
    change = float((together.images() - optimisation().images()).abs().max())
    assert float((together.images() - alone.images()).abs().max()) <= rounding(1000, largest=change)


def test_a_class_smaller_than_the_batch_gives_all_of_its_images() -> None:
    made = DistributionMatching(
        small_inputs(per_class=3), Settings(real_batch=256, width=8), NETWORK, Progress()
    )
    assert torch.isfinite(made.step(1))


def test_where_a_mirrored_image_is_another_class_nothing_is_flipped() -> None:
    assert "flip" in optimisation(flip=True)._matching._operations
    assert "flip" not in optimisation(flip=False)._matching._operations


def test_the_seed_decides_about_images_and_networks() -> None:
    first, second = optimisation(seed=0), optimisation(seed=1)
    assert not torch.equal(first.images(), second.images())
    assert float(first.step(1)) != float(second.step(1))
