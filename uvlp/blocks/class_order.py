"""Does a teacher answer for the classes that its outputs are taken for? (evaluation.md Q32)

A teacher whose outputs stand in another order than the dataset's classes gives plausible soft labels of
the wrong classes. Its confusion matrix on real images shows the order that it was trained with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy

ABOVE_CHANCE = 0.05
GAIN = 0.2
DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True)
class Reordering:
    """Another order of the outputs that fits the images far better.

    Attributes:
        order: int64 [C], the output that answers for class c.
        accuracy_pct: what the teacher would have with its outputs in this order, percent.
    """

    order: numpy.ndarray
    accuracy_pct: float

    @property
    def moved(self) -> list[int]:
        """Classes that another output answers for."""
        return numpy.flatnonzero(self.order != numpy.arange(len(self.order))).tolist()


def confusion(labels: numpy.ndarray, answers: numpy.ndarray, classes: int) -> numpy.ndarray:
    """int64 [C,C]: how many images of class (row) got which answer (column)."""
    return numpy.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)


def per_class_pct(counts: numpy.ndarray) -> tuple[float | None, ...]:
    """Accuracy of every class of a confusion matrix, percent; None for a class without images."""
    totals = counts.sum(1)
    return tuple(
        100 * int(right) / int(total) if total else None
        for right, total in zip(counts.diagonal(), totals, strict=True)
    )


def near_chance_pct(classes: int, images: int) -> float:
    """Accuracy, percent, up to which a teacher on this many images is no better than guessing.

    A twentieth of the way from guessing to perfection, or two standard errors of guessing where that is
    more (few images), but at most half of the way.
    """
    chance = 1 / classes
    errors = 2 * math.sqrt(chance * (1 - chance) / images)
    return 100 * (chance + min(max(ABOVE_CHANCE * (1 - chance), errors), (1 - chance) / 2))


def best_order(counts: numpy.ndarray) -> numpy.ndarray:
    """int64 [C]: outputs assigned to classes, one each, so that most images are answered right."""
    from scipy.optimize import linear_sum_assignment

    # A little in favour of the order as it is, so that classes without images stay where they are.
    favoured = counts * (len(counts) + 1) + numpy.eye(len(counts), dtype=counts.dtype)
    return linear_sum_assignment(favoured, maximize=True)[1]


def find_reordering(labels: numpy.ndarray, answers: numpy.ndarray, classes: int) -> Reordering | None:
    """The order that the teacher was trained with, if it is another one, else None.

    The order is found on every second image of each class and judged on the others: on the images it
    was chosen by, some order always looks better. It counts if, among the images of the moved classes,
    a fifth more are right, by more than three standard errors.

    Args:
        labels, answers: int64 [N], class and largest output of every image.
        classes: number of classes.
    """
    second = _every_second(labels)
    order = best_order(confusion(labels[~second], answers[~second], classes))
    judged = second & (order != numpy.arange(classes))[labels]
    as_is = int((answers[judged] == labels[judged]).sum())
    moved = int((answers[judged] == order[labels[judged]]).sum())
    gain = moved - as_is
    if gain <= GAIN * judged.sum() or gain <= DEVIATIONS * math.sqrt(moved + as_is):
        return None
    final = best_order(confusion(labels, answers, classes))
    return Reordering(final, 100 * float((answers == final[labels]).mean()))


def _every_second(labels: numpy.ndarray) -> numpy.ndarray:
    """bool [N]: the second, fourth, ... image of each class."""
    by_class = numpy.argsort(labels, kind="stable")
    starts = numpy.searchsorted(labels[by_class], labels[by_class])
    second = numpy.empty(len(labels), dtype=bool)
    second[by_class] = (numpy.arange(len(labels)) - starts) % 2 == 1
    return second
