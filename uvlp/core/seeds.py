"""Seeds derived from names, so that results do not depend on batches, workers or order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    import torch


def derive(seed: int, *parts: str | int) -> int:
    """Return a 63-bit seed for one purpose, e.g. ``derive(0, "synthesise", "uvlp", "n01440764", 3)``.

    Equal arguments give equal seeds on every machine; any other argument gives an unrelated one.
    """
    text = "\x1f".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(seed: int, *parts: str | int) -> torch.Generator:
    """Return a CPU generator seeded with ``derive(seed, *parts)``."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *parts))


def numpy_generator(seed: int, *parts: str | int) -> numpy.random.Generator:
    """Return a numpy generator seeded with ``derive(seed, *parts)``."""
    import numpy

    return numpy.random.default_rng(derive(seed, *parts))
