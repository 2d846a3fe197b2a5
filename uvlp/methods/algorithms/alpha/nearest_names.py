"""The class names nearest to a cluster, at many values of α, without comparing every name every time.

Symbols: I, T features of the cluster's images; Ī, T̄ their means; μ(α) centre of the cluster, a unit vector;
τ_j name of another class. μ(α) is almost a multiple of b(α) = αĪ + (1−α)T̄, because the norms by which rows
are divided differ little. With s = μ·b / b·b, |μ·τ_j − s b·τ_j| ≤ ‖μ − s b‖ ‖τ_j‖ (Cauchy-Schwarz), and every
b(α)·τ_j follows from Ī·τ_j and T̄·τ_j. A name farther behind the third best than twice that bound is none of
the three; only the others are compared exactly.
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from uvlp.methods.algorithms.fusion import Direction, Features, Pairs


class OtherNames:
    """The names of the other classes: τ, float32 [C − 1, D]."""

    def __init__(self, rows: Features) -> None:
        self.rows = rows
        squares = numpy.einsum("cd,cd->c", rows, rows)
        self.longest = float(numpy.sqrt(squares.max(initial=0.0)))


class NearestNames:
    """The names nearest to one cluster.

    Args:
        names: the names of the other classes.
        pairs: the features of the cluster's images.
    """

    def __init__(self, names: OtherNames, pairs: Pairs) -> None:
        self._names = names
        self._means = pairs.means()
        self._lengths = numpy.linalg.norm(self._means, axis=1)
        self._products = names.rows @ self._means.astype(numpy.float32).T

    def cosines(self, centre: Direction, alpha: float, count: int) -> NDArray[numpy.float64]:
        """The ``count`` largest μ·τ_j, ascending; all if there are fewer names.

        Args:
            centre: μ at ``alpha``, float64 [D].
            alpha: fusion weight.
            count: number of names.
        """
        rows = self._names.rows
        if len(rows) > count:
            rows = rows[self._candidates(centre, numpy.array([alpha, 1.0 - alpha]), count)]
        return numpy.sort(rows @ centre)[-count:]

    def _candidates(
        self, centre: Direction, weights: NDArray[numpy.float64], count: int
    ) -> NDArray[numpy.bool_]:
        """Which names may be among the ``count`` nearest, bool [C − 1]."""
        base = weights @ self._means
        scale = float(centre @ base) / max(float(base @ base), float(numpy.finfo(numpy.float64).tiny))
        # A sum of D float32 products of vectors is off by at most D/2 eps times their norms.
        rounding = (len(centre) + 4) * numpy.finfo(numpy.float32).eps * abs(scale) * (weights @ self._lengths)
        bound = self._names.longest * (numpy.linalg.norm(centre - scale * base) + rounding)
        near = self._products @ (scale * weights).astype(numpy.float32)
        limit = numpy.partition(near, -count)[-count] - 2 * bound
        candidates: NDArray[numpy.bool_] = near >= limit
        return candidates
