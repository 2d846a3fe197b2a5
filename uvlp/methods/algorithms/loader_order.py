"""The published visiting order of the training images (methods.md A.1)."""

from __future__ import annotations

import numpy
import torch
from numpy.typing import NDArray


def visiting_order(count: int, seed: int) -> NDArray[numpy.int64]:
    """Indices 0..count−1 as a shuffled `DataLoader` visits them after ``torch.manual_seed(seed)``.

    Batch size and workers do not matter. The loader takes a seed for its workers from the generator
    first, then one for the permutation.
    """
    generator = torch.Generator().manual_seed(seed)
    draws = [int(torch.empty((), dtype=torch.int64).random_(generator=generator)) for _ in range(2)]
    return torch.randperm(count, generator=torch.Generator().manual_seed(draws[1])).numpy()
