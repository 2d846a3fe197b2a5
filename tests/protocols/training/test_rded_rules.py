"""Values that the RDED protocol derives, beyond the golden data."""

from __future__ import annotations

from itertools import product

import pytest

from tests.protocols.rded_subsets import SUBSETS, input_px
from uvlp.core.errors import UvlpError
from uvlp.protocols.training.rded_networks import ARCHITECTURES
from uvlp.protocols.training.rded_rules import (
    ADAMW_LR,
    Rules,
    batch_size,
    learning_rate,
    resized_px,
    rules,
    validated_epochs,
)
from uvlp.recipes.evaluation import RdedSettings


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
def test_batch_sizes_between_the_published_ipcs(ipc: int, classes: int, expected: int) -> None:
    assert batch_size(ipc, classes) == expected


def test_cifar_100_from_conv3_to_conv3_has_its_own_values() -> None:
    settings = RdedSettings(size_px=32)
    assert rules(settings, "conv3", "conv3", 100, 10) == Rules(25, 0.002, 0.01, 20)
    assert rules(settings, "conv3", "resnet18_modified", 100, 10) == Rules(100, 0.001, 0.01, 20)
    assert rules(RdedSettings(size_px=64), "conv3", "conv3", 100, 10).batch == 100


def test_settings_replace_the_published_values() -> None:
    settings = RdedSettings(size_px=32, batch=7, lr=0.3, weight_decay=0.5, temperature=2)
    assert rules(settings, "conv3", "conv3", 100, 10) == Rules(7, 0.3, 0.5, 2)


def test_sgd_and_mixup_have_their_own_values() -> None:
    assert rules(RdedSettings(optimiser="sgd"), "unheard_of", "x", 10, 10) == Rules(50, 0.1, 1e-4, 20)
    assert rules(RdedSettings(mix="mixup"), "vgg11", "x", 10, 10) == Rules(50, 0.0005, 0.01, 4)


def test_accumulation_divides_the_batch() -> None:
    assert rules(RdedSettings(accumulation=3), "conv3", "x", 10, 50).batch == 33
    assert rules(RdedSettings(accumulation=3, batch=2), "conv3", "x", 10, 50).batch == 1


def reference_batch(subset: str, student: str, teacher: str, ipc: int, accumulation: int) -> int:
    """Return the images per pass, computed in the reference's order (evaluation.md 3.1)."""
    classes = SUBSETS[subset].classes
    batch = {1: 10, 10: 50, 50: 100}[ipc] * (2 if classes in (100, 1000) else 1)
    batch = 100 if subset == "tinyimagenet" else batch
    batch = min(batch, ipc * classes) // accumulation
    return 25 if (subset, student, teacher) == ("cifar100", "conv3", "conv3") else batch


def test_every_combination_gives_the_batch_size_of_the_reference() -> None:
    networks = ("conv3", "conv4", "conv5", "resnet18", "resnet18_modified", "vgg11")
    grid = product(SUBSETS, networks, networks, (1, 10, 50), (1, 2, 3, 4))
    for subset, student, teacher, ipc, accumulation in grid:
        for optimiser, mix in product(("adamw", "sgd"), ("cutmix", "mixup")):
            settings = RdedSettings(
                size_px=input_px(subset, student, teacher),
                accumulation=accumulation,
                optimiser=optimiser,
                mix=mix,
            )
            batch = rules(settings, student, teacher, SUBSETS[subset].classes, ipc).batch
            expected = reference_batch(subset, student, teacher, ipc, accumulation)
            assert batch == expected, (subset, student, teacher, ipc, accumulation, optimiser, mix)


def test_a_batch_size_is_limited_to_the_images_before_it_is_divided() -> None:
    assert rules(RdedSettings(accumulation=2, batch=1000), "conv3", "x", 10, 10).batch == 50


def test_a_student_without_a_published_learning_rate_needs_the_setting() -> None:
    with pytest.raises(UvlpError) as caught:
        rules(RdedSettings(), "conv7", "conv3", 10, 10)
    assert caught.value.got == "conv7" and "rded.lr" in str(caught.value.fix)
    assert rules(RdedSettings(lr=0.1), "conv7", "conv3", 10, 10).lr == 0.1


@pytest.mark.parametrize(
    ("size_px", "expected"), [(32, 32), (64, 72), (128, 144), (224, 256), (8, 8), (33, 33), (5, 5)]
)
def test_validation_images_are_never_smaller_than_their_crop(size_px: int, expected: int) -> None:
    assert resized_px(size_px) == expected


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
