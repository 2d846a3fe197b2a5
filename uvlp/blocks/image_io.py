"""Images in and out: square resize, bytes of a PNG, the default resize (methods.md A.1, A.13, B.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image


def square(image: Image.Image, size_px: int) -> NDArray[numpy.float32]:
    """The image as RGB, squashed to a square (bilinear, antialiased, no crop).

    Returns float32 [3, size, size] in [0, 1].
    """
    from PIL import Image

    small = image.convert("RGB").resize((size_px, size_px), Image.Resampling.BILINEAR)
    return numpy.asarray(small, dtype=numpy.float32).transpose(2, 0, 1) / numpy.float32(255)


def to_bytes(image: NDArray[numpy.floating]) -> NDArray[numpy.uint8]:
    """Bytes of a PNG, uint8 [h, w, 3], from [3, h, w] in [0, 1]: clamp(255x + 0.5) cut off.

    Computed in the type of the input, as the reference does (float16 on a GPU).
    """
    scaled = image * image.dtype.type(255) + image.dtype.type(0.5)
    return numpy.clip(scaled, 0, 255).astype(numpy.uint8).transpose(1, 2, 0)


def resize(image: NDArray[numpy.uint8], size_px: int) -> NDArray[numpy.uint8]:
    """uint8 [h, w, 3] resized to a square with PIL's default: bicubic, antialiased."""
    from PIL import Image

    return numpy.asarray(Image.fromarray(image).resize((size_px, size_px)))
