"""Fusion of image and caption features on the unit sphere (methods.md A.5, A.8, A.10).

Symbols: I, T image and caption features [N, D]; α fusion weight, 1 = image only, 0 = text only;
u(v) = v / max(‖v‖, 1e-8); F = u(αI + (1−α)T) row-wise; μ = u(mean F).
Features are numpy float32; other dtypes are converted without renormalising. Statistics over rows are
computed in float64: an objective of α is flat at its maximum, where float32 rounding changes the result by up
to 9e-4 between BLAS libraries.
"""

from __future__ import annotations

from typing import TypeVar

import numpy
from numpy.typing import ArrayLike, NDArray

Features = NDArray[numpy.float32]
Direction = NDArray[numpy.float64]
Squares = tuple[NDArray[numpy.float64], NDArray[numpy.float64], NDArray[numpy.float64]]
"""I·I, I·T and T·T of each pair, [N] each."""

AnyFloat = TypeVar("AnyFloat", numpy.float32, numpy.float64)

SMALLEST_NORM = 1e-8


def unit(vectors: NDArray[AnyFloat]) -> NDArray[AnyFloat]:
    """Divide each vector (last axis) by its norm, clipped below at 1e-8."""
    norms = numpy.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / numpy.maximum(norms, vectors.dtype.type(SMALLEST_NORM))


def fuse(images: Features, texts: Features, alpha: float) -> Features:
    """F, float32 [N, D], of image and caption features of that shape."""
    return unit(numpy.float32(alpha) * images + numpy.float32(1.0 - alpha) * texts)


def three_way(images: ArrayLike, texts: ArrayLike, latents: ArrayLike) -> Features:
    """Image, text and latent of a class, each centred and normalised, joined with equal weight (ours, no α).

    A part that is the same for all images of the class, such as the text of its name, contributes nothing.

    Args:
        images, texts: CLIP features [N, D].
        latents: VAE latents [N, 4, h, w].

    Returns:
        Unit rows, float32 [N, 2 D + 4 h w].
    """
    parts = [_centred(numpy.asarray(each)) for each in (images, texts, latents)]
    return unit(numpy.concatenate(parts, axis=1)).astype(numpy.float32)


def _centred(rows: NDArray[numpy.floating]) -> Direction:
    """The rows less their mean as unit vectors, float64 [N, D]; computed in float64."""
    flat = rows.reshape(len(rows), -1).astype(numpy.float64)
    return unit(flat - flat.mean(axis=0))


class Pairs:
    """Image and caption features of the same images, for statistics at many values of α.

    ‖αI + (1−α)T‖² is quadratic in α with precomputed coefficients, and mean F is two weighted sums of rows,
    so each α costs two matrix-vector products and no [N, D] array.

    Args:
        images: [N, D]; N may be 0.
        texts: [N, D].
        squares: those of the same pairs made earlier, which then need not be computed again.
    """

    def __init__(self, images: ArrayLike, texts: ArrayLike, squares: Squares | None = None) -> None:
        self.images: Features = numpy.asarray(images, dtype=numpy.float32)
        self.texts: Features = numpy.asarray(texts, dtype=numpy.float32)
        assert self.images.ndim == 2 and self.images.shape == self.texts.shape
        self._images, self._texts = self.images.astype(numpy.float64), self.texts.astype(numpy.float64)
        self.squares: Squares = squares or (
            numpy.einsum("nd,nd->n", self._images, self._images),
            numpy.einsum("nd,nd->n", self._images, self._texts),
            numpy.einsum("nd,nd->n", self._texts, self._texts),
        )

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, rows: NDArray[numpy.intp]) -> Pairs:
        """The pairs of the given rows."""
        return Pairs(self.images[rows], self.texts[rows])

    def centroid(self, alpha: float) -> tuple[float, Direction]:
        """D = mean(1 − F·μ), which equals 1 − mean F · μ, and μ, float64 [D]. N must not be 0."""
        assert len(self) > 0
        image_image, image_text, text_text = self.squares
        rest = 1.0 - alpha
        squares = alpha * alpha * image_image + 2 * alpha * rest * image_text + rest * rest * text_text
        norms = numpy.maximum(numpy.sqrt(numpy.maximum(squares, 0.0)), SMALLEST_NORM)
        weights = 1.0 / (norms * len(self))
        mean = alpha * (weights @ self._images) + rest * (weights @ self._texts)
        centre = unit(mean)
        return 1.0 - float(mean @ centre), centre

    def means(self) -> NDArray[numpy.float64]:
        """Mean image and mean caption feature, float64 [2, D]. N must not be 0."""
        return numpy.stack([self._images.mean(axis=0), self._texts.mean(axis=0)])

    def mean_similarity(self) -> float:
        """Mean of I·T over the images (r_c if they are all images of a class, methods.md A.6)."""
        return float(self.squares[1].mean())
