"""How far rounding alone can take two computations of one number apart.

Another batch, layout, order of a sum or set of instructions changes roundings, never the number that is
meant. Each rounding moves a value by half a last place at most, in either computation: after n of them
two results differ by at most n last places of the largest value that is added on the way (Higham, Accuracy
and Stability of Numerical Algorithms, 2002, section 3.1). Roundings follow one another within one sum;
terms that are added side by side count as one path, so n is the length of the longest chain, and a matrix
product of inner size K counts K + 1.
"""

from __future__ import annotations

import torch


def rounding(operations: int, dtype: torch.dtype = torch.float32, largest: float = 1.0) -> float:
    """The bound: ``operations`` roundings one after another in ``dtype``, on values up to ``largest``."""
    return operations * torch.finfo(dtype).eps * largest
