"""What the RDED protocol derives, beside the golden grid."""

from __future__ import annotations

import pytest

from uvlp.blocks.rded_settings import ADAMW_LR, Rules, batch_size, resized_px, rules
from uvlp.core.errors import UvlpError
from uvlp.models.rded_networks import ARCHITECTURES
from uvlp.recipes.schema import RdedSettings


def test_every_network_has_a_learning_rate() -> None:
    assert set(ADAMW_LR) == set(ARCHITECTURES)


@pytest.mark.parametrize(
    ("ipc", "classes", "expected"),
    [
        (1, 10, 10),
        (2, 10, 10),
        (9, 10, 10),
        (20, 10, 50),
        (49, 1000, 100),
        (300, 10, 100),
        (10, 3, 30),
        (1, 200, 100),
        (20, 200, 100),
    ],
)
def test_batches_between_the_published_ipcs(ipc: int, classes: int, expected: int) -> None:
    assert batch_size(ipc, classes) == expected


def test_cifar_100_from_conv3_to_conv3_has_its_own_values() -> None:
    settings = RdedSettings(size_px=32)
    assert rules(settings, "conv3", "conv3", 100, 10) == Rules(25, 0.002, 0.01, 20)
    assert rules(settings, "conv3", "resnet18_modified", 100, 10) == Rules(100, 0.001, 0.01, 20)
    assert rules(RdedSettings(size_px=64), "conv3", "conv3", 100, 10).batch == 100


def test_given_values_replace_the_published_ones() -> None:
    settings = RdedSettings(size_px=32, batch=7, lr=0.3, weight_decay=0.5, temperature=2)
    assert rules(settings, "conv3", "conv3", 100, 10) == Rules(7, 0.3, 0.5, 2)


def test_sgd_and_mixup_have_their_own_values() -> None:
    assert rules(RdedSettings(optimiser="sgd"), "unheard_of", "x", 10, 10) == Rules(50, 0.1, 1e-4, 20)
    assert rules(RdedSettings(mix="mixup"), "vgg11", "x", 10, 10) == Rules(50, 0.0005, 0.01, 4)


def test_accumulation_divides_the_batch() -> None:
    assert rules(RdedSettings(accumulation=3), "conv3", "x", 10, 50).batch == 33
    assert rules(RdedSettings(accumulation=3, batch=2), "conv3", "x", 10, 50).batch == 1


def test_a_student_without_a_published_learning_rate_needs_one() -> None:
    with pytest.raises(UvlpError, match="no published learning rate for the student: got 'conv7'; allowed: "):
        rules(RdedSettings(), "conv7", "conv3", 10, 10)
    assert rules(RdedSettings(lr=0.1), "conv7", "conv3", 10, 10).lr == 0.1


@pytest.mark.parametrize(
    ("size_px", "expected"), [(32, 32), (64, 72), (128, 144), (224, 256), (8, 8), (33, 33), (5, 5)]
)
def test_validation_images_are_never_smaller_than_their_crop(size_px: int, expected: int) -> None:
    assert resized_px(size_px) == expected
