"""Best, last, curve and bits of the validation passes of one training."""

from __future__ import annotations

import numpy
import pytest
import torch
from torch import nn

from uvlp.artifacts.scores import Score
from uvlp.protocols.training import augment
from uvlp.protocols.training.images import Prepared
from uvlp.protocols.training.loop import Record, predict

LABELS = torch.arange(10) % 6


def validation() -> Prepared:
    return Prepared(
        pixels=torch.zeros(10, 3, 2, 2, dtype=torch.uint8), labels=LABELS.numpy(), name="digits, test"
    )


def logits(right: int, classes: int = 6) -> torch.Tensor:
    """Ten rows with the label second in the last ``10 - right`` of them."""
    values = torch.nn.functional.one_hot(LABELS, classes).float()
    values[right:, :] += 2 * torch.nn.functional.one_hot((LABELS[right:] + 1) % classes, classes)
    return values


def recorded(*passes: tuple[int, int]) -> Score:
    record = Record()
    for epoch, right in passes:
        record.add(epoch, logits(right), LABELS)
    return record.score(validation(), train_images=7, parameters=11)


def test_the_first_of_the_best_passes_is_the_best() -> None:
    score = recorded((2, 4), (4, 8), (6, 8), (8, 3))
    assert (score.best_epoch, score.best_pct, score.last_pct) == (4, 80.0, 30.0)
    assert score.curve == ((2, 40.0), (4, 80.0), (6, 80.0), (8, 30.0))
    assert (score.train_images, score.parameters, score.validation_images) == (7, 11, 10)
    assert score.validation_set == "digits, test"


def test_bits_are_those_of_the_best_and_the_last_pass() -> None:
    score = recorded((1, 8), (2, 3))
    assert bytes.fromhex(score.correct_best) == bytes([0b11111111, 0])
    assert bytes.fromhex(score.correct_last) == bytes([0b11100000, 0])


def test_nothing_right_is_a_best_pass_too() -> None:
    score = recorded((3, 0))
    assert (score.best_epoch, score.best_pct) == (3, 0.0)


def test_top_5_counts_the_five_largest() -> None:
    record = Record()
    worst = logits(10)
    worst[:4] *= -1  # four labels are last of six
    record.add(1, worst, LABELS)
    record.add(2, logits(0), LABELS)
    score = record.score(validation(), train_images=1, parameters=1)
    assert (score.top5_best_pct, score.top5_last_pct) == (60.0, 100.0)


@pytest.mark.parametrize(("classes", "expected"), [(4, None), (5, 100.0)])
def test_top_5_needs_five_classes(classes: int, expected: float | None) -> None:
    record = Record()
    labels = torch.arange(10) % classes
    record.add(1, torch.nn.functional.one_hot(labels, classes).float(), labels)
    assert record.score(validation(), train_images=1, parameters=1).top5_last_pct == expected


def test_predictions_in_parts_are_those_of_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 2), nn.Flatten(), nn.BatchNorm1d(2))
    generator = numpy.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (5, 3, 2, 2), dtype=numpy.uint8))
    monkeypatch.setattr("uvlp.protocols.training.loop.PART_PIXELS", {"cpu": 8})
    found = predict(network, images)
    assert network.training and network[2].num_batches_tracked == 0
    with torch.inference_mode():
        expected = network.eval()(augment.normalise(images))
    torch.testing.assert_close(found, expected)
