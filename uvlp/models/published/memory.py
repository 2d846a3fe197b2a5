"""How many prototypes are synthesised at once, by the memory that their activations take.

Counted on Stable Diffusion 1.5 at 512 px (`benchmarks/flops.py`): at its peak a call of the UNet
holds as much as 26 of its first feature maps, in half precision 137 MB per prototype, and a decoding 403 MB.
"""

from __future__ import annotations

import math

UNET_MAPS = 26
DECODED_SHARE = 3
"""A decoding takes about three times what its prototype took in the UNet: a third is decoded at once."""
MOST = 32
"""A GPU is busy long before: published rates of an A100 rise by 9 % from 4 to 16 images at once."""
USED = 0.5
"""Share of the free memory; the rest is for the libraries' work space and what the allocator loses."""
ON_CPU = 4


def prototype_bytes(channels: int, latent_cells: int, number_bytes: int) -> int:
    """Bytes of the activations of one prototype: two samples, one with the negative prompt.

    Args:
        channels: of the UNet's first feature maps.
        latent_cells: height times width of a latent.
        number_bytes: of one number of the dtype that it computes in.
    """
    return UNET_MAPS * 2 * channels * latent_cells * number_bytes


def choose(count: int, each_bytes: int, free_bytes: int | None) -> int:
    """Prototypes at once so that ``count`` of them are shared out evenly.

    Args:
        each_bytes: activations of one.
        free_bytes: free memory of the GPU; None on a CPU.
    """
    fitting = ON_CPU if free_bytes is None else int(USED * free_bytes) // each_bytes
    most = max(1, min(MOST, fitting))
    return math.ceil(count / math.ceil(count / most))
