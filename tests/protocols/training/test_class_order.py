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


def answers_of(labels: numpy.ndarray, classes: int, right: float, seed: int) -> numpy.ndarray:
    """Answers of which a share is right and the others are any class."""
    generator = numpy.random.default_rng(seed)
    guesses = generator.integers(0, classes, len(labels))
    return numpy.where(generator.random(len(labels)) < right, labels, guesses)


def labels_of(classes: int, images: int) -> numpy.ndarray:
    return numpy.repeat(numpy.arange(classes), images)


def test_confusion_counts_by_class_and_answer() -> None:
    counts = confusion(numpy.array([0, 0, 2, 2, 2]), numpy.array([0, 1, 2, 2, 0]), 4)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert per_class_pct(counts) == (50.0, None, pytest.approx(200 / 3), None)


@pytest.mark.parametrize(("classes", "images", "right"), [(10, 10, 0.9), (10, 100, 0.3), (100, 10, 0.5)])
@pytest.mark.parametrize("seed", range(5))
def test_a_shuffled_teacher_is_found(classes: int, images: int, right: float, seed: int) -> None:
    labels = labels_of(classes, images)
    good = answers_of(labels, classes, right, seed)
    order = numpy.random.default_rng(seed).permutation(classes)
    found = find_reordering(labels, order[good], classes)
    assert found is not None
    assert found.accuracy_pct >= 100 * (good == labels).mean()
    assert (found.order == order).mean() > 0.95
    assert found.moved == numpy.flatnonzero(found.order != numpy.arange(classes)).tolist()


def test_two_swapped_classes_of_a_hundred_are_found() -> None:
    labels = labels_of(100, 50)
    good = answers_of(labels, 100, 0.7, 0)
    order = numpy.arange(100)
    order[[17, 62]] = 62, 17
    found = find_reordering(labels, order[good], 100)
    assert found is not None and found.moved == [17, 62]


@pytest.mark.parametrize("right", [0.0, 0.05, 0.3, 0.9, 1.0])
@pytest.mark.parametrize(("classes", "images"), [(100, 1), (100, 2), (10, 3), (10, 50), (2, 1), (2, 5)])
def test_a_weak_teacher_is_not_taken_for_a_shuffled_one(classes: int, images: int, right: float) -> None:
    """With few images per class some other order always looks better on the images it is chosen by."""
    labels = labels_of(classes, images)
    for seed in range(20):
        assert find_reordering(labels, answers_of(labels, classes, right, seed), classes) is None


def test_a_teacher_that_confuses_two_classes_is_not_taken_for_a_shuffled_one() -> None:
    labels = labels_of(10, 100)
    answers = labels.copy()
    answers[300:400:2], answers[500:600:2] = 5, 3  # half of the cats are dogs and the other way round
    answers[301:311:2], answers[501:511:2] = 5, 3
    assert find_reordering(labels, answers, 10) is None


def test_classes_without_images_stay_where_they_are() -> None:
    counts = numpy.zeros((5, 5), dtype=numpy.int64)
    counts[1, 2], counts[2, 1] = 4, 4
    assert best_order(counts).tolist() == [0, 2, 1, 3, 4]


@pytest.mark.parametrize(
    ("classes", "images", "limit"),
    [(10, 10_000, 14.5), (10, 490, 14.5), (10, 100, 16.0), (100, 10_000, 5.95), (2, 6, 75.0)],
)
def test_chance(classes: int, images: int, limit: float) -> None:
    assert near_chance_pct(classes, images) == pytest.approx(limit)
