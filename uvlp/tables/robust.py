"""Robust scores of DD-Ranking: what images are worth beyond labels and augmentation (Li et al. 2024).

Every accuracy is compared with that of as many random images, as fractions. DD-Ranking 0.2.0 exponentiates
percentages instead, so that its scores are not an oracle.

Legend: IOR, improvement over random images under the method's own labels; HLR, what the images fall short of
the full set under hard labels; alpha, the weighted sum of two such terms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uvlp.artifacts.tables import Cell, Table
from uvlp.core.errors import UvlpError
from uvlp.tables.grids import Grid
from uvlp.tables.uncertainty import mean_interval_of

WEIGHT = 0.5
"""w and gamma: the share of the first term."""
RANDOM, FULL = "random", "full"
Training = tuple[int, int]
"""Seed and repeat."""


def score(alpha: float) -> float:
    """Map alpha from -1..1 to 0..100; 0, the level of random images, is 26.9."""
    return 100 * (math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1))


def label_alpha(own: float, random: float, full: float, hard: float) -> float:
    """Return w IOR - (1 - w) HLR of accuracies as fractions.

    Args:
        own, random: of the method and of random images under the method's labels.
        full, hard: of the full set and of the method under hard labels.
    """
    return WEIGHT * (own - random) - (1 - WEIGHT) * (full - hard)


def augmentation_alpha(own: float, random: float, own_plain: float, random_plain: float) -> float:
    """Return the weighted gains over random images, with augmentation and without, as fractions."""
    return WEIGHT * (own - random) + (1 - WEIGHT) * (own_plain - random_plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Robust:
    """The scores of a method with one test network; each is its value with a 95 % interval or None.

    Attributes:
        title, network: of the method.
        labels: "hard" or "soft", the labels of IOR.
        label_score: LRS.
        augmentation_score: ARS.
        trainings: number of trainings.
    """

    title: str
    network: str
    labels: str
    label_score: tuple[float, float | None, float | None]
    augmentation_score: tuple[float, float | None, float | None]
    trainings: int


def robust(hard: Table, plain: Table, soft: Table | None = None) -> Iterator[Robust]:
    """Yield the scores of every method but `random` and `full`.

    Args:
        hard: with hard labels and augmentation; has `random` and `full`.
        plain: with hard labels, without augmentation; has `random`.
        soft: with soft labels and `random`, for the methods that are published with them.

    Raises:
        UvlpError: a table lacks a cell.
    """
    softened = {cell.method for cell in soft.cells} if soft is not None else set()
    for cell in hard.cells:
        if cell.method in (RANDOM, FULL):
            continue
        labels = soft if soft is not None and cell.method in softened else hard
        network = _network_in(labels, hard, cell.network)
        own, random = (_accuracies(labels, name, network) for name in (cell.method, RANDOM))
        full, hard_own = (_accuracies(hard, name, cell.network) for name in (FULL, cell.method))
        hard_random = _accuracies(hard, RANDOM, cell.network)
        own_plain, random_plain = (_accuracies(plain, name, cell.network) for name in (cell.method, RANDOM))
        trainings = list(hard_own)
        of_labels = [label_alpha(own[t], random[t], full[t], hard_own[t]) for t in trainings]
        of_augmentation = [
            augmentation_alpha(hard_own[t], hard_random[t], own_plain[t], random_plain[t]) for t in trainings
        ]
        yield Robust(
            title=cell.title,
            network=cell.network,
            labels="soft" if labels is soft else "hard",
            label_score=_with_interval(of_labels, trainings),
            augmentation_score=_with_interval(of_augmentation, trainings),
            trainings=len(trainings),
        )


def _network_in(table: Table, hard: Table, network: str) -> str:
    """Return the network of another table in the position that it has in the hard one."""
    return network if table is hard else table.networks[hard.networks.index(network)]


def _accuracies(table: Table, method: str, network: str) -> dict[Training, float]:
    """Return the best accuracy of each training as a fraction."""
    found = [cell for cell in table.cells if cell.method == method and cell.network == network]
    if not found:
        raise UvlpError(
            f"the table {table.name} lacks {method} with {network}", fix="run it with this method"
        )
    (cell,) = found
    return {(seed, repeat): value / 100 for seed, repeat, value in _trainings(cell)}


def _trainings(cell: Cell) -> Iterator[tuple[int, int, float]]:
    yield from zip(cell.seeds, cell.repeats, cell.best_pct, strict=True)


def _with_interval(
    alphas: Sequence[float], trainings: Sequence[Training]
) -> tuple[float, float | None, float | None]:
    """Return the score of the mean alpha and its interval, taken through the same increasing function."""
    mean = sum(alphas) / len(alphas)
    interval = mean_interval_of(alphas, [seed for seed, _ in trainings])
    if interval is None:
        return score(mean), None, None
    return score(mean), score(interval[0]), score(interval[1])


def grid(rows: Sequence[Robust], heading: str) -> Grid:
    """Return the scores as a grid, one row per method and network."""
    return Grid(
        heading=heading,
        head=["method", "network", "labels", "LRS", "ARS", "trainings"],
        body=[
            [
                row.title,
                row.network,
                row.labels,
                _shown(row.label_score),
                _shown(row.augmentation_score),
                str(row.trainings),
            ]
            for row in rows
        ],
        left=frozenset({"method", "network", "labels"}),
    )


def _shown(value: tuple[float, float | None, float | None]) -> str:
    middle, low, high = value
    return f"{middle:.1f}" + ("" if low is None or high is None else f" ({low:.1f} to {high:.1f})")
