"""The slow evaluator is the protocol: it draws, mixes and schedules as ours and as the golden data."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy
import pytest
import torch
from PIL import Image
from torch import nn

from benchmarks.parity import intervals, slow_evaluator
from tests.protocols.golden_data import family, picture_pixels, read
from tests.tolerances import rounding
from uvlp.protocols.training import augment, mixing
from uvlp.protocols.training.images import Images, resize_and_crop
from uvlp.recipes.evaluation import EvaluateSettings

SETTINGS = EvaluateSettings(size_px=16, width=8, epochs=12, validations=4, flip=0.0)
SIZES = ((16, 16), (24, 33), (40, 17), (12, 9))


@pytest.fixture(autouse=True)
def streams() -> Iterator[None]:
    """Fixed global streams, which are given back as they were; one thread."""
    threads, state, numbers = torch.get_num_threads(), random.getstate(), numpy.random.get_state()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random.seed(0)
        numpy.random.seed(0)
        yield
    random.setstate(state)
    numpy.random.set_state(numbers)
    torch.set_num_threads(threads)


def as_ours(drawn: slow_evaluator.Draw) -> augment.Draws:
    """The same random numbers in the form of our augmentation."""
    names, alphas = zip(*drawn.jitter, strict=True)
    order = [slow_evaluator.OPERATIONS.index(name) for name in names]
    jitter = [dict(drawn.jitter)[name] for name in slow_evaluator.OPERATIONS]
    return augment.Draws(
        box=numpy.asarray([drawn.box]),
        flip=numpy.asarray([drawn.flip]),
        order=numpy.asarray([order]),
        jitter=numpy.asarray([jitter]),
        lighting=drawn.lighting[None].double().numpy(),
    )


@pytest.mark.parametrize("size_px", [16, 33, 224])
def test_equal_draws_give_equal_training_images(size_px: int) -> None:
    settings = replace(SETTINGS, size_px=size_px, flip=0.5)
    flips = set()
    for key in range(12):
        pixels = resize_and_crop(picture_pixels(size_px, size_px + key, key), size_px)
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).double() / 255
        drawn = slow_evaluator.draw(image, settings)
        tensors = augment.prepare(as_ours(drawn), size_px, dtype=torch.float64)
        found = augment.augment(image[None], tensors)[0]
        # The slow one's grid is float32: three roundings of a coordinate, of slope 1 / std at most.
        bound = rounding(3, largest=4.4 * size_px) + rounding(
            2 * size_px + size_px**2 + 7, torch.float64, 4.4
        )
        torch.testing.assert_close(slow_evaluator.augment(image, drawn), found, rtol=0, atol=bound)
        flips.add(drawn.flip)
    assert flips == {True, False}


def test_the_recipe_of_the_digits_never_flips() -> None:
    image = torch.zeros(3, 16, 16)
    assert not any(slow_evaluator.draw(image, SETTINGS).flip for _ in range(50))


def test_draws_have_the_published_distribution() -> None:
    image = torch.zeros(3, 224, 224)
    draws = [slow_evaluator.draw(image, SETTINGS) for _ in range(3000)]
    areas = [drawn.box[2] * drawn.box[3] / 224**2 for drawn in draws]
    assert numpy.mean(areas) == pytest.approx(0.693, abs=0.01)
    alphas = numpy.asarray([alpha for drawn in draws for _, alpha in drawn.jitter])
    assert abs(alphas).max() <= 0.4 and alphas.std() == pytest.approx(0.8 / 12**0.5, abs=0.01)
    orders = [tuple(name for name, _ in drawn.jitter) for drawn in draws]
    assert [orders.count(order) / 3000 for order in set(orders)] == pytest.approx([1 / 6] * 6, abs=0.03)
    assert torch.stack([drawn.lighting for drawn in draws]).std().item() == pytest.approx(0.1, abs=0.004)


@pytest.mark.parametrize(("height_px", "width_px"), SIZES)
def test_validation_images_agree(height_px: int, width_px: int) -> None:
    pixels = picture_pixels(height_px, width_px, 3)
    found = slow_evaluator.validation_transform(16)(Image.fromarray(pixels))
    prepared = torch.from_numpy(resize_and_crop(pixels, 16).copy()).permute(2, 0, 1)
    bound = rounding(3, largest=4.4)  # a quotient, a difference, a quotient with a deviation of 0.225
    torch.testing.assert_close(found, augment.normalise(prepared[None])[0], rtol=0, atol=bound)


def test_a_training_image_is_prepared_and_augmented_with_its_draw() -> None:
    image = Image.fromarray(picture_pixels(20, 30, 5))
    found = slow_evaluator.TrainingTransform(SETTINGS)(image)
    torch.manual_seed(0)
    random.seed(0)
    tensor = slow_evaluator.fixed_transform(16)(image)
    expected = slow_evaluator.augment(tensor, slow_evaluator.draw(tensor, SETTINGS))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_boxes_agree_with_the_golden_data_and_with_ours() -> None:
    cases = family("augment.json", "bbox")
    square = [case for case in cases if case["size_dim2"] == case["size_dim3"]]
    assert square
    for case in square:
        size_px, centre = case["size_dim2"], (case["cx"], case["cy"])
        x1, x2, y1, y2 = slow_evaluator.box(size_px, case["lam"], *centre)
        assert (x1, y1, x2, y2) == (case["bbx1"], case["bby1"], case["bbx2"], case["bby2"])
        assert (x1, y1, x2, y2) == mixing.box(size_px, size_px, case["lam"], centre)


def test_a_mixed_step_has_the_loss_of_ours() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4))
    images, labels = torch.randn(6, 3, 16, 16), torch.arange(6) % 4
    torch.manual_seed(5)
    numpy.random.seed(5)
    loss, logits = slow_evaluator.loss_of_step(network, images.clone(), labels, mix_probability=1.0)
    torch.manual_seed(5)
    numpy.random.seed(5)
    numpy.random.rand()
    lam, centre = numpy.random.beta(1.0, 1.0), (numpy.random.randint(16), numpy.random.randint(16))
    corners = mixing.box(16, 16, lam, centre)
    mix = mixing.Mix(torch.randperm(6), corners, mixing.kept_share(16, 16, corners))
    expected = network(mixing.mix_(images.clone(), mix))
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(loss, mixing.cutmix_loss(expected, labels, mix))


def test_learning_rates_agree_with_the_golden_schedule() -> None:
    records = [record for record in read("minimax_schedule.json") if record.get("kind") is None]
    few = [record for record in records if record["nclass"] <= 100]
    assert few
    for record in few:
        settings = replace(SETTINGS, lr=record["lr"])
        optimiser, scheduler = slow_evaluator.optimisation(nn.Linear(1, 1), settings, record["epochs"])
        rates = []
        for _ in range(record["epochs"]):
            rates.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            scheduler.step()
        runs = [rate for length, rate in record["lr_runs_epochs_value"] for _ in range(length)]
        assert rates == pytest.approx(runs, rel=rounding(5, torch.float64))
        group = optimiser.param_groups[0]
        assert (group["momentum"], group["nesterov"], group["dampening"]) == (record["momentum"], False, 0)
        assert group["weight_decay"] == record["weight_decay"]


def stripes(count: int, seed: int) -> Images:
    """Noise with horizontal (0) or vertical (1) stripes."""
    labels = numpy.arange(count) % 2
    pattern = numpy.tile(numpy.repeat([60, 190], 4), 2)[:, None] * numpy.ones((16, 16))
    images = numpy.where(labels[:, None, None] == 0, pattern, pattern.T)[..., None]
    noisy = images + numpy.random.default_rng(seed).normal(0, 90, (count, 16, 16, 3))
    return Images(pixels=noisy.clip(0, 255).astype(numpy.uint8), labels=labels)


@pytest.mark.slow
def test_it_learns_and_follows_its_seed() -> None:
    def run(seed: int) -> slow_evaluator.Result:
        return slow_evaluator.evaluate_slowly(
            stripes(70, 0),
            stripes(45, 1),
            network="convnet-2",
            classes=2,
            settings=SETTINGS,
            seed=seed,
            workers=(1, 1),
        )

    found = run(0)
    assert [epoch for epoch, _ in found.curve] == [3, 6, 9, 12]
    assert found.last_pct > 80
    assert run(0) == found
    assert run(1) != found


def test_best_is_the_first_largest_and_last_the_last() -> None:
    found = slow_evaluator.result([(5, 10.0), (10, 30.0), (15, 30.0), (20, 20.0)])
    assert (found.best_pct, found.best_epoch, found.last_pct) == (30.0, 10, 20.0)


def test_intervals_cover_equal_samples_and_exclude_distant_ones() -> None:
    generator = numpy.random.default_rng(0)
    first, second = generator.normal(95, 0.5, 32).tolist(), generator.normal(95, 0.5, 32).tolist()
    difference, (low, high) = intervals.difference(first, second)
    assert low < difference < high and low < 0 < high < 0.7
    for interval in (intervals.f_interval, intervals.robust_interval):
        low, high = interval(first, second)
        assert low < intervals.variance_ratio(first, second) < high and low < 1 < high
        wide = [95 + 4 * (value - 95) for value in first]
        assert interval(wide, second)[0] > 1


def test_the_robust_interval_covers_as_often_as_it_says_for_skewed_samples() -> None:
    generator = numpy.random.default_rng(1)
    samples = 100 - generator.exponential(size=(400, 2, 16))
    covered = {
        interval.__name__: numpy.mean([low <= 1 <= high for low, high in (interval(*two) for two in samples)])
        for interval in (intervals.robust_interval, intervals.f_interval)
    }
    assert 0.92 < covered["robust_interval"] < 0.98
    assert covered["f_interval"] < 0.85  # why the robust interval is the one that judges
