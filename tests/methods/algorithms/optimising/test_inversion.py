"""SRe2L against its equations in float64, its gradients, its draws, and interruptions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms.functional import resized_crop

from tests.methods.algorithms.optimising.small_inputs import SIZE_PX, small_inputs
from tests.methods.algorithms.small_teacher import small_teacher
from tests.tolerances import depth, rounding
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.core.seeds import numpy_generator, torch_generator
from uvlp.methods import sre2l
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.methods.algorithms.optimising.inversion import (
    Recovery,
    Statistics,
    Update,
    draw,
    groups,
    inversion_loss,
    learning_rate,
)
from uvlp.methods.sre2l import Settings
from uvlp.protocols.training import rded_networks
from uvlp.protocols.training.random_crop import draw_boxes
from uvlp.protocols.training.teacher import load_teacher

SETTINGS = Settings(iterations=2, batch=2)
MEAN, STD = (
    torch.tensor(values, dtype=torch.float64)[:, None, None]
    for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)


def inputs_of(folder: Path, **changes: object) -> MethodInput:
    return small_inputs(models=small_teacher(folder), **changes)  # type: ignore[arg-type]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_loss_follows_its_equation_in_float64(tmp_path: Path) -> None:
    """Cross-entropy, and per layer the distances of means and biased variances; the first ten times."""
    small_teacher(tmp_path)
    network: Any = load_teacher(tmp_path).double()
    labels = torch.tensor([0, 1, 2, 1])
    images = noise(4, 3, SIZE_PX, SIZE_PX)
    distances, features = [], images
    for number in range(3):
        layer = network.layers["norm"][number]
        features = network.layers["conv"][number](features)
        channels = features.transpose(0, 1).flatten(1)
        means = channels.mean(1)
        variances = (channels - means[:, None]).square().mean(1)
        distances.append(
            (layer.running_mean - means).square().sum().sqrt()
            + (layer.running_var - variances).square().sum().sqrt()
        )
        features = torch.nn.functional.avg_pool2d(layer(features).relu(), 2)
    logits = network.classifier(features.flatten(1))
    entropy = -logits.log_softmax(1)[range(4), labels].mean()
    expected = float(entropy + 0.01 * (10 * distances[0] + distances[1] + distances[2]))
    with Statistics(network) as seen:
        found = float(inversion_loss(network, seen, images, labels, SETTINGS))
    assert abs(found - expected) <= rounding(2 * depth(network), torch.float64, largest=abs(expected))


def test_gradients_of_the_loss_and_of_a_view_are_right() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.Softplus(),
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(4 * 16, 3),
    )
    network = network.double().eval().requires_grad_(False)
    labels, view = torch.tensor([2, 0]), draw(np.random.default_rng(1), 8, SETTINGS, flip=True)
    with Statistics(network) as seen:
        assert torch.autograd.gradcheck(
            lambda images: inversion_loss(network, seen, view.of(images), labels, SETTINGS),
            noise(2, 3, 8, 8).requires_grad_(),
        )


@pytest.mark.parametrize("seed", range(6))
def test_a_view_is_a_crop_perhaps_a_mirroring_and_a_roll(seed: int) -> None:
    images, side = noise(2, 3, SIZE_PX, SIZE_PX), np.array([SIZE_PX])
    generator = np.random.default_rng(seed)
    ((top, left, height, width),) = draw_boxes(generator, side, side, 0.08).tolist()
    mirrored = bool(generator.random() < 0.5)
    shift = generator.integers(0, 32 * SIZE_PX // 224, size=2, endpoint=True).tolist()
    expected = resized_crop(images, top, left, height, width, [SIZE_PX, SIZE_PX], antialias=False)
    expected = torch.roll(expected.flip(3) if mirrored else expected, shift, (2, 3))
    found = draw(np.random.default_rng(seed), SIZE_PX, SETTINGS, flip=True).of(images)
    # Coordinates, two weights and two products for each axis.
    bound = rounding(4 * SIZE_PX, torch.float64, largest=SIZE_PX * float(images.abs().max()))
    assert float((found - expected).abs().max()) <= bound


def test_the_roll_is_the_published_one_at_both_published_sizes() -> None:
    for size_px, most in ((224, 32), (32, 4)):
        whole = Settings(crop_scale=1.0, flip=False)
        firsts = {
            float(draw(np.random.default_rng(seed), size_px, whole, flip=True).rows[0, 0])
            for seed in range(2000)
        }
        assert firsts == {float((size_px - shift) % size_px) for shift in range(most + 1)}


def test_nothing_is_mirrored_where_the_evaluation_does_not() -> None:
    for settings, flip in ((SETTINGS, False), (Settings(flip=False, roll=0), True)):
        for seed in range(50):
            columns = draw(np.random.default_rng(seed), SIZE_PX, settings, flip=flip).columns[0]
            assert (np.diff(columns) >= 0).sum() >= SIZE_PX - 2


def test_updates_are_adams_with_a_cosine_and_clipped_to_the_range_of_images() -> None:
    """In NumPy: betas 0.5 and 0.9, epsilon 1e-8, both moments corrected for their start at zero."""
    settings = Settings(iterations=6)
    start, gradients = noise(2, 3, 4, 4), noise(6, 2, 3, 4, 4, seed=1)
    pixels = start.clone().requires_grad_()
    update = Update(pixels, settings)
    expected, first, second = start.numpy(), np.zeros((2, 3, 4, 4)), np.zeros((2, 3, 4, 4))
    least, most = ((level - MEAN.numpy()) / STD.numpy() for level in (0, 1))
    for number, gradient in enumerate(gradients):
        pixels.grad = gradient
        update.step(number + 1)
        first = 0.5 * first + 0.5 * gradient.numpy()
        second = 0.9 * second + 0.1 * gradient.numpy() ** 2
        lr = 0.25 * 0.5 * (1 + math.cos(math.pi * number / 6))
        step = (first / (1 - 0.5 ** (number + 1))) / (np.sqrt(second / (1 - 0.9 ** (number + 1))) + 1e-8)
        expected = np.clip(expected - lr * step, least, most)
    difference = np.abs(pixels.detach().numpy() - expected).max()
    assert difference <= rounding(6 * 20, torch.float64, largest=float(np.abs(expected).max()))
    assert (expected == least).any() or (expected == most).any()


def test_the_learning_rate_begins_at_its_value_and_ends_near_zero() -> None:
    assert learning_rate(1, 4000, 0.25) == 0.25
    assert learning_rate(2001, 4000, 0.25) == pytest.approx(0.125, rel=1e-12)
    assert 0 < learning_rate(4000, 4000, 0.25) < 1e-6


def test_the_first_iteration_goes_against_the_sign_of_the_gradient(tmp_path: Path) -> None:
    """Adam's first step is the learning rate, whatever the size of the gradient."""
    inputs = inputs_of(tmp_path)
    (group, *_) = groups(3, 2, 2)
    found = Recovery(inputs, Settings(iterations=1), Progress()).images(group).double()
    start = torch.randn(
        (2, 3, SIZE_PX, SIZE_PX), generator=torch_generator(0, "sre2l", "start", 0, 0)
    ).double()
    network = load_teacher(tmp_path).double()
    leaf = start.clone().requires_grad_()
    view = draw(numpy_generator(0, "sre2l", "views", 0, 0), SIZE_PX, SETTINGS, flip=True)
    with Statistics(network) as seen:
        loss = inversion_loss(network, seen, view.of(leaf), torch.tensor([0, 1]), SETTINGS)
        (gradient,) = torch.autograd.grad(loss, leaf)
    moved = (start - 0.25 * gradient.sign()).clamp(-MEAN / STD, (1 - MEAN) / STD)
    # Where the gradient is rounding alone, its sign is too; epsilon is far below the others.
    certain = gradient.abs() > rounding(depth(network), largest=float(gradient.abs().max()))
    assert certain.double().mean() > 0.5
    epsilon = 0.25 * 1e-8 / float(gradient[certain].abs().min())
    bound = rounding(20, largest=float(start.abs().max())) + epsilon
    assert float((found - moved)[certain].abs().max()) <= bound
    untouched = gradient == 0
    still = (start.clamp(-MEAN / STD, (1 - MEAN) / STD) - found)[untouched]
    assert untouched.any() and float(still.abs().max()) <= bound


def test_batches_hold_one_image_of_each_class() -> None:
    found = [(group.slot, list(group.labels), group.rows(3)) for group in groups(5, 3, 2)]
    assert found[:3] == [(0, [0, 1], [0, 3]), (0, [2, 3], [6, 9]), (0, [4], [12])]
    assert sorted(row for _, _, rows in found for row in rows) == list(range(15))


def made(
    inputs: MethodInput, done: int = 0, progress: Progress | None = None
) -> list[tuple[list[int], bytes]]:
    batches = sre2l.sample(inputs, SETTINGS, progress or Progress(), done)
    return [(rows, images.tobytes()) for rows, images in batches]


def test_a_resumed_run_gives_the_same_bytes(tmp_path: Path) -> None:
    inputs = inputs_of(tmp_path)
    every = made(inputs)
    assert [rows for rows, _ in every] == [[0, 2], [4], [1, 3], [5]]
    assert made(inputs, done=2) == every[1:] and made(inputs, done=5) == every[3:]


def test_the_seed_decides_about_the_images(tmp_path: Path) -> None:
    first, other = (made(inputs_of(tmp_path, seed=seed)) for seed in (0, 1))
    assert all(one != two for (_, one), (_, two) in zip(first, other, strict=True))


def test_the_speed_is_reported(tmp_path: Path) -> None:
    events: list[Event] = []
    made(inputs_of(tmp_path), progress=Progress(events.append))
    assert any("images/s" in event.message and "%" in event.message for event in events)


def test_a_loss_that_is_not_finite_is_named(tmp_path: Path) -> None:
    inputs = inputs_of(tmp_path)
    recovery = Recovery(inputs, SETTINGS, Progress())
    recovery._teacher.classifier.bias.fill_(float("nan"))  # type: ignore[union-attr,operator]
    with pytest.raises(UvlpError) as caught:
        recovery.images(next(groups(3, 2, 2)))
    assert "SRe2L" in caught.value.what and "sre2l.lr" in str(caught.value.fix)


def test_a_teacher_without_batch_normalisation_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        sre2l.teacher(Settings(teacher="vgg11"), 32)
    assert caught.value.got == "vgg11" and "resnet18" in str(caught.value.allowed)


@pytest.mark.parametrize("architecture", rded_networks.ARCHITECTURES)
def test_architectures_without_batch_normalisation_are_known(architecture: str) -> None:
    size_px = 224 if architecture in rded_networks.ONLY_PX else 64
    with torch.device("meta"):
        network = rded_networks.build(architecture, classes=10, size_px=size_px)
    normalised = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert normalised != (architecture in rded_networks.WITHOUT_BATCH_NORM)
