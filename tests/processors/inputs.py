"""Inputs that are equal on every processor: integers of a random generator, scaled by powers of two.

NumPy's PCG64 uses integer arithmetic; `random()` multiplies an integer by 2**-53, which is exact.
"""

from __future__ import annotations

from typing import TypeVar

import numpy
import torch
from numpy.typing import NDArray

Network = TypeVar("Network", bound=torch.nn.Module)
ODD_COUNT = 4_099  # a prime, so that vector loops have a remainder


def array(
    *shape: int, seed: int = 0, low: float = -4.0, span: float = 8.0, dtype: str = "float32"
) -> NDArray[numpy.floating]:
    """Return uniform numbers in [low, low + span); both powers of two or zero, so that nothing is rounded."""
    uniform = numpy.random.default_rng(seed).integers(0, 1 << 20, shape) * (span / (1 << 20))
    return numpy.asarray(uniform + low, dtype)


def tensor(
    *shape: int, seed: int = 0, low: float = -1.0, span: float = 2.0, wide: bool = False
) -> torch.Tensor:
    """`array` as a tensor, float64 if ``wide``."""
    return torch.from_numpy(
        array(*shape, seed=seed, low=low, span=span, dtype="float64" if wide else "float32")
    )


def leaf(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return a tensor that requires a gradient."""
    return tensor(*shape, seed=seed).requires_grad_()


def fill(model: Network) -> Network:
    """Set a model's weights from `tensor`, small enough to keep values near one; norms remain at one."""
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            if parameter.dim() > 1:
                inner = parameter[0].numel()
                parameter.copy_(tensor(*parameter.shape, seed=number) / 2.0 ** round(numpy.log2(inner) / 2))
            elif (parameter != 1).any():
                parameter.copy_(tensor(*parameter.shape, seed=number) / 16)
    return model


def image(height: int = 45, width: int = 61, channels: int = 3, seed: int = 0) -> NDArray[numpy.uint8]:
    """Return uint8 [height, width, channels]: blocks with noise."""
    random = numpy.random.default_rng(seed)
    coarse = random.integers(0, 160, (height // 8 + 1, width // 8 + 1, channels))
    fine = random.integers(0, 96, (height, width, channels))
    return (coarse.repeat(8, 0).repeat(8, 1)[:height, :width] + fine).astype(numpy.uint8)
