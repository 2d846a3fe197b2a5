"""Bounds of the rounding difference between two computations of one number.

Another batch, layout, order of a sum or instruction set changes only rounding. Each rounding changes a value
by at most half a unit in the last place (ulp), in either computation: after n successive roundings, two
results differ by at most n ulps of the largest intermediate value (Higham, Accuracy and Stability of
Numerical Algorithms, 2002, section 3.1). Roundings are as often up as down, so that more than 8 sqrt(n) ulps
occur once in 10^13 times (Higham and Mary, SIAM J. Sci. Comput. 41, 2019).

Parallel sums count as one path: a product of inner size K has K + 1 roundings, a convolution K = channels
times kernel. Errors are far larger: a wrong pixel, weight, order or seed changes the leading digits.
"""

from __future__ import annotations

import math

import torch
from torch import nn

EXPONENTIAL = 4  # roundings of one call of exp, log, sin, tanh or an error function
NORMALISATION = 16  # two means (cascaded sums), a square root, a division, scale and shift
NORMS = (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._NormBase)


def rounding(operations: int, dtype: torch.dtype = torch.float32, largest: float = 1.0) -> float:
    """Return the bound of ``operations`` successive roundings in ``dtype``, on values up to ``largest``."""
    return min(operations, 8 * math.sqrt(operations)) * torch.finfo(dtype).eps * largest


def depth(network: nn.Module) -> int:
    """Return the successive roundings in a network: of its products, convolutions, norms and activations."""
    count = 0
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.MultiheadAttention):
            weight = module.in_proj_weight if isinstance(module, nn.MultiheadAttention) else module.weight
            count += weight[0].numel() + 1
        elif isinstance(module, NORMS):
            count += NORMALISATION
        elif not list(module.children()):
            count += EXPONENTIAL
    return count
