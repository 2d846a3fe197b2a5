"""Images that are made: bytes of a PNG, and the default resize (methods.md A.13, B.6)."""

from __future__ import annotations

import numpy
import torch
from numpy.typing import NDArray


def quantise(images: torch.Tensor) -> NDArray[numpy.uint8]:
    """Bytes of a PNG, uint8 [N, H, W, 3], from [N, 3, H, W] in [0, 1]: clamp(255x + 0.5) cut off.

    Computed in the type of the input, as the reference does (float16 on a GPU).
    """
    levels = (255 * images + 0.5).clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def resize(image: NDArray[numpy.uint8], size_px: int) -> NDArray[numpy.uint8]:
    """uint8 [H, W, 3] resized to a square with PIL's default: bicubic, antialiased."""
    from PIL import Image

    return numpy.asarray(Image.fromarray(image).resize((size_px, size_px)))
