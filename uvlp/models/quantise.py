"""Images as floating-point numbers to 8-bit pixels (methods.md A.13)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


def to_bytes(pixels: torch.Tensor) -> NDArray[np.uint8]:
    """Convert pixels [N, 3, H, W], clipped to [-1, 1], to uint8 [N, H, W, 3] (methods.md A.13).

    Computed in the dtype of the pixels, as the reference does in float16; bfloat16 is first converted to
    float32, because it cannot represent the 0.5 that rounding adds.
    """
    if pixels.dtype == torch.bfloat16:
        pixels = pixels.float()
    return quantise((pixels / 2 + 0.5).clamp(0, 1))


def quantise(images: torch.Tensor) -> NDArray[np.uint8]:
    """Convert [N, 3, H, W] in [0, 1] to uint8 [N, H, W, 3]: clamp(255x + 0.5), truncated.

    Computed in the dtype of the input, as the reference does (float16 on a GPU).
    """
    levels = (255 * images + 0.5).clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def truncate(images: torch.Tensor) -> NDArray[np.uint8]:
    """Convert [N, 3, H, W] in [0, 1] to uint8 [N, H, W, 3]: clamp(255x), truncated, as RDED and SRe2L do."""
    levels = (255 * images).clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
