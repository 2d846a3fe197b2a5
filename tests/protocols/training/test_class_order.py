"""Detection of a teacher whose outputs are in another order than the classes."""

from __future__ import annotations

import numpy
import pytest

from uvlp.protocols.training.teacher import (
    best_order,
    confusion,
    find_reordering,
    near_chance_pct,
    per_class_pct,
)


def predicted(labels: numpy.ndarray, classes: int, correct: float, seed: int) -> numpy.ndarray:
    """Return predictions of which the share ``correct`` is correct and the others are random."""
    generator = numpy.random.default_rng(seed)
    guesses = generator.integers(0, classes, len(labels))
    return numpy.where(generator.random(len(labels)) < correct, labels, guesses)


def labels_of(classes: int, images: int) -> numpy.ndarray:
    return numpy.repeat(numpy.arange(classes), images)


def test_confusion_counts_by_class_and_prediction() -> None:
    counts = confusion(numpy.array([0, 0, 2, 2, 2]), numpy.array([0, 1, 2, 2, 0]), 4)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert per_class_pct(counts) == (50.0, None, pytest.approx(200 / 3), None)


@pytest.mark.parametrize(("classes", "images", "correct"), [(10, 10, 0.9), (10, 100, 0.3), (100, 10, 0.5)])
@pytest.mark.parametrize("seed", range(5))
def test_a_permuted_teacher_is_detected(classes: int, images: int, correct: float, seed: int) -> None:
    labels = labels_of(classes, images)
    good = predicted(labels, classes, correct, seed)
    order = numpy.random.default_rng(seed).permutation(classes)
    reordering = find_reordering(labels, order[good], classes)
    assert reordering is not None
    assert reordering.accuracy_pct >= 100 * (good == labels).mean()
    assert (reordering.order == order).mean() > 0.95
    assert reordering.moved == numpy.flatnonzero(reordering.order != numpy.arange(classes)).tolist()


def test_two_swapped_classes_of_a_hundred_are_detected() -> None:
    labels = labels_of(100, 50)
    good = predicted(labels, 100, 0.7, 0)
    order = numpy.arange(100)
    order[[17, 62]] = 62, 17
    reordering = find_reordering(labels, order[good], 100)
    assert reordering is not None and reordering.moved == [17, 62]


@pytest.mark.parametrize("correct", [0.0, 0.05, 0.3, 0.9, 1.0])
@pytest.mark.parametrize(("classes", "images"), [(100, 1), (100, 2), (10, 3), (10, 50), (2, 1), (2, 5)])
def test_a_weak_teacher_does_not_count_as_permuted(classes: int, images: int, correct: float) -> None:
    """With few images per class some other order always looks better on the images it was fitted to."""
    labels = labels_of(classes, images)
    for seed in range(20):
        assert find_reordering(labels, predicted(labels, classes, correct, seed), classes) is None


def test_a_teacher_that_confuses_two_classes_does_not_count_as_permuted() -> None:
    labels = labels_of(10, 100)
    predictions = labels.copy()
    predictions[300:400:2], predictions[500:600:2] = 5, 3  # half of the cats are dogs and vice versa
    predictions[301:311:2], predictions[501:511:2] = 5, 3
    assert find_reordering(labels, predictions, 10) is None


def test_classes_without_images_are_not_moved() -> None:
    counts = numpy.zeros((5, 5), dtype=numpy.int64)
    counts[1, 2], counts[2, 1] = 4, 4
    assert best_order(counts).tolist() == [0, 2, 1, 3, 4]


@pytest.mark.parametrize(
    ("classes", "images", "limit"),
    [(10, 10_000, 14.5), (10, 490, 14.5), (10, 100, 16.0), (100, 10_000, 5.95), (2, 6, 75.0)],
)
def test_limit_near_chance(classes: int, images: int, limit: float) -> None:
    assert near_chance_pct(classes, images) == pytest.approx(limit)
