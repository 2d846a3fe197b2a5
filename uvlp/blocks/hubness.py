"""Hubness within a cluster: how similar a member is to the others on average (methods.md A.11).

Symbol: h_i = (Σ_j f_i·f_j − 1) / (n − 1) for unit rows f.
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from uvlp.blocks.fusion import Features

TIE = 1e-6
"""Scores this close are a tie, won by the lowest index; rounding decides in the reference (E17)."""


def hub_scores(fused: Features) -> Features:
    """h of each unit row, float32 [n]; a single member scores 1."""
    count = len(fused)
    if count == 1:
        return numpy.ones(1, dtype=numpy.float32)
    return (fused @ fused.sum(axis=0) - numpy.float32(1.0)) / numpy.float32(count - 1)


def best_members(scores: Features, count: int) -> list[int]:
    """Positions of the ``count`` highest scores (all if there are fewer), best first, ties by position."""
    remaining = list(range(len(scores)))
    chosen: list[int] = []
    while remaining and len(chosen) < max(1, count):
        best = max(scores[position] for position in remaining)
        pick = next(position for position in remaining if scores[position] >= best - TIE)
        remaining.remove(pick)
        chosen.append(pick)
    return chosen


def image_prototype(latents: NDArray[numpy.floating], chosen: list[int]) -> NDArray[numpy.float32]:
    """Mean in float32 of the chosen latents [n, 4, h, w]; its variance is not restored (E52)."""
    return numpy.asarray(latents)[chosen].mean(axis=0, dtype=numpy.float32)
