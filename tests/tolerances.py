"""How far rounding alone can take two computations of one number apart.

Another batch, layout, order of a sum or set of instructions changes roundings, never the number that is
meant. Each rounding moves a value by half a last place at most, in either computation: after n of them, one
after another, two results differ by at most n last places of the largest value on the way (Higham, Accuracy
and Stability of Numerical Algorithms, 2002, section 3.1). Roundings go up as often as down, so that more than
8 sqrt(n) last places are met once in 10^13 times (Higham and Mary, SIAM J. Sci. Comput. 41, 2019).

What is added side by side counts as one path: a product of inner size K is K + 1 roundings, a convolution
K = channels times kernel. An error is far larger: a wrong pixel, weight, order or seed changes first digits.
"""

from __future__ import annotations

import math

import torch
from torch import nn

EXPONENTIAL = 4  # roundings that one call of exp, log, sin, tanh or an error function counts as
NORMALISATION = 16  # two means, whose cascades of sums round little, a root, a division, scale and shift
NORMS = (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._NormBase)


def rounding(operations: int, dtype: torch.dtype = torch.float32, largest: float = 1.0) -> float:
    """The bound of ``operations`` roundings one after another in ``dtype``, on values up to ``largest``."""
    return min(operations, 8 * math.sqrt(operations)) * torch.finfo(dtype).eps * largest


def depth(network: nn.Module) -> int:
    """Roundings one after another in a network: of its products, convolutions, norms and activations."""
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
