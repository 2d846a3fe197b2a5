"""The training loop that all protocols share, and its scores."""

from __future__ import annotations

import subprocess
import sys

import numpy
import pytest
import torch
from torch import nn

from uvlp.artifacts.scores import Score
from uvlp.core.errors import UvlpError
from uvlp.protocols.training import augment
from uvlp.protocols.training.images import Prepared
from uvlp.protocols.training.loop import Record, check_finite, predict
from uvlp.protocols.training.optimisers import Sgd


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_sgd_agrees_with_torch(momentum: float) -> None:
    networks = [nn.Linear(5, 3), nn.Linear(5, 3)]
    networks[1].load_state_dict(networks[0].state_dict())
    ours = Sgd(networks[0].parameters(), 0.1, momentum=momentum, weight_decay=0.01)
    reference = torch.optim.SGD(networks[1].parameters(), 0.1, momentum=momentum, weight_decay=0.01)
    images = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    for lr in (0.1, 0.1, 0.02):
        ours.lr = reference.param_groups[0]["lr"] = lr
        for network in networks:
            network.zero_grad()
            network(images).square().sum().backward()
        ours.step()
        reference.step()
    for parameter, expected in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(parameter, expected)


def test_an_evaluation_does_not_import_the_compiler() -> None:
    code = (
        "import sys, numpy, torch\n"
        "from uvlp.protocols.training.images import Images, Prepared\n"
        "from uvlp.core.progress import Progress\n"
        "from uvlp.protocols.minimax import evaluate\n"
        "from uvlp.recipes.evaluation import EvaluateSettings\n"
        "images = Images(pixels=numpy.zeros((2, 8, 8, 3), numpy.uint8), labels=numpy.arange(2))\n"
        "scored = Prepared(pixels=torch.zeros((2, 3, 8, 8), dtype=torch.uint8), labels=numpy.arange(2))\n"
        "settings = EvaluateSettings(size_px=8, width=4, epochs=1)\n"
        "evaluate(images, scored, network='convnet-1', classes=2, ipc=1, settings=settings, seed=0,"
        " progress=Progress())\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_a_loss_that_is_not_finite_names_epoch_and_step() -> None:
    good, bad = torch.ones(3), torch.tensor([1.0, float("inf"), float("nan")])
    check_finite([good, good], "convnet-3", 7, "fix")
    with pytest.raises(UvlpError) as caught:
        check_finite([good, bad, good], "convnet-3", 7, "fix")
    assert caught.value.what.endswith("network convnet-3, epoch 6, step 2") and caught.value.fix == "fix"


LABELS = torch.arange(10) % 6


def validation() -> Prepared:
    return Prepared(
        pixels=torch.zeros(10, 3, 2, 2, dtype=torch.uint8), labels=LABELS.numpy(), name="digits, test"
    )


def logits(right: int, classes: int = 6) -> torch.Tensor:
    """Return ten rows; in the last ``10 - right`` the label has the second largest logit."""
    values = torch.nn.functional.one_hot(LABELS, classes).float()
    values[right:, :] += 2 * torch.nn.functional.one_hot((LABELS[right:] + 1) % classes, classes)
    return values


def recorded(*passes: tuple[int, int]) -> Score:
    record = Record()
    for epoch, right in passes:
        record.add(epoch, logits(right), LABELS)
    return record.score(validation(), train_images=7, parameters=11)


def test_of_equally_good_passes_the_first_is_the_best() -> None:
    score = recorded((2, 4), (4, 8), (6, 8), (8, 3))
    assert (score.best_epoch, score.best_pct, score.last_pct) == (4, 80.0, 30.0)
    assert score.curve == ((2, 40.0), (4, 80.0), (6, 80.0), (8, 30.0))
    assert (score.train_images, score.parameters, score.validation_images) == (7, 11, 10)
    assert score.validation_set == "digits, test"


def test_predictions_are_those_of_the_best_and_the_last_pass() -> None:
    score = recorded((1, 8), (2, 3))
    assert bytes.fromhex(score.correct_best) == bytes([0b11111111, 0])
    assert bytes.fromhex(score.correct_last) == bytes([0b11100000, 0])


def test_a_pass_without_correct_predictions_can_be_the_best() -> None:
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


def test_predictions_do_not_depend_on_the_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 2), nn.Flatten(), nn.BatchNorm1d(2))
    generator = numpy.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (5, 3, 2, 2), dtype=numpy.uint8))
    monkeypatch.setattr("uvlp.protocols.training.loop.PART_PIXELS", {"cpu": 8})
    found = predict(network, images)
    assert network.training and network[2].num_batches_tracked == 0
    with torch.inference_mode():
        expected = network.eval()(augment.normalise(images))
    torch.testing.assert_close(found, expected)
