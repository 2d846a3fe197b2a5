"""Coresets of real images: random, and in float64 greedy k-center and herding (evaluation.md 5)."""

from __future__ import annotations

import numpy
from numpy.typing import ArrayLike

from uvlp.core.errors import UvlpError, too_few_images
from uvlp.core.seeds import numpy_generator
from uvlp.methods.algorithms.method_input import ClassData

FIRST_PICKS = ("mean", "index0")


def random_rows(data: ClassData, ipc: int, seed: int) -> list[int]:
    """Return ``ipc`` different rows of a class, drawn from the seed and sorted.

    They are the images of the method `random`, at which optimised images start.
    """
    rows: list[int] = numpy_generator(seed, "random", data.id).permutation(list(data.rows)).tolist()
    return sorted(rows[:ipc])


def k_center(features: ArrayLike, k: int, first: str = "mean") -> list[int]:
    """Pick ``k`` rows: each is the farthest from its nearest earlier pick. Returns indices in picking order.

    The first pick is the row nearest to the mean, or row 0; ties go to the lowest index.

    Args:
        features: [N, D].
        k: 1 to N.
        first: ``mean`` or ``index0``.

    Raises:
        UvlpError: there are fewer rows than ``k``, or ``first`` is unknown.
    """
    if first not in FIRST_PICKS:
        raise UvlpError("first pick of k-center", got=first, allowed=", ".join(FIRST_PICKS))
    points = _points(features, k)
    pick = 0 if first == "index0" else int(_squares(points, points.mean(axis=0)).argmin())
    picks = [pick]
    distances = _squares(points, points[pick])
    for _ in range(k - 1):
        # A pick is at distance 0 from itself; −1 prevents picking it again if rows are equal.
        distances[picks[-1]] = -1.0
        picks.append(int(distances.argmax()))
        distances = numpy.minimum(distances, _squares(points, points[picks[-1]]))
    return picks


def herding(features: ArrayLike, k: int) -> list[int]:
    """Pick ``k`` rows so that their mean approaches that of all rows. Returns indices in picking order.

    Step t picks the remaining row that minimises ‖(t+1)·mean − sum of picks − row‖, on ties the first.

    Args:
        features: [N, D].
        k: 1 to N.

    Raises:
        UvlpError: there are fewer rows than ``k``.
    """
    points = _points(features, k)
    mean = points.mean(axis=0)
    total = numpy.zeros_like(mean)
    picks: list[int] = []
    for step in range(1, k + 1):
        distances = _squares(points, step * mean - total)
        distances[picks] = numpy.inf
        picks.append(int(distances.argmin()))
        total += points[picks[-1]]
    return picks


def _points(features: ArrayLike, k: int) -> numpy.ndarray:
    points = numpy.asarray(features, dtype=numpy.float64)
    if len(points) < k:
        raise too_few_images(len(points), k)
    return points.reshape(len(points), -1)


def _squares(points: numpy.ndarray, point: numpy.ndarray) -> numpy.ndarray:
    return ((points - point) ** 2).sum(axis=1)
