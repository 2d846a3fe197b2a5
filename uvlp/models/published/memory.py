"""Batch size of the synthesis, by the memory of its activations.

Counted for Stable Diffusion 1.5 at 512 px (`benchmarks/costs/flops.py`): the peak memory of a UNet call is
that of 26 of its first feature maps, in half precision 137 MB per prototype, and that of a decoding 403 MB.
"""

from __future__ import annotations

import math

UNET_MAPS = 26
DECODED_SHARE = 3
"""A decoding takes about three times the memory of the UNet: a third of a batch is decoded at once."""
MOST = 32
"""Larger batches are hardly faster: published rates of an A100 rise by 9 % from batch size 4 to 16."""
USED = 0.5
"""Share of the memory beside the weights; the rest is for the libraries' workspace and fragmentation."""
ON_CPU = 4


def prototype_bytes(channels: int, latent_cells: int, number_bytes: int) -> int:
    """Return the bytes of the activations of one prototype: two samples, one with the negative prompt.

    Args:
        channels: of the UNet's first feature maps.
        latent_cells: height times width of a latent.
        number_bytes: size of the dtype.
    """
    return UNET_MAPS * 2 * channels * latent_cells * number_bytes


def choose(count: int, each_bytes: int, memory_bytes: int | None) -> int:
    """Return the batch size that divides ``count`` prototypes evenly.

    Args:
        each_bytes: activations of one prototype.
        memory_bytes: memory of the GPU without the weights; None on a CPU.
    """
    fitting = ON_CPU if memory_bytes is None else int(USED * memory_bytes) // each_bytes
    most = max(1, min(MOST, fitting))
    return math.ceil(count / math.ceil(count / most))
