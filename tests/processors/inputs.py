"""Inputs that every processor makes alike: integers of a counter-free generator, scaled by powers of two.

NumPy's PCG64 works with integers; `random()` multiplies one with 2**-53, which no instruction set rounds.
"""

from __future__ import annotations

from typing import TypeVar

import numpy
import torch
from numpy.typing import NDArray

Network = TypeVar("Network", bound=torch.nn.Module)
ODD_COUNT = 4_099  # a prime: vector loops meet their remainders


def array(
    *shape: int, seed: int = 0, low: float = -4.0, span: float = 8.0, dtype: str = "float32"
) -> NDArray[numpy.floating]:
    """Uniform numbers in [low, low + span); powers of two or nought, so that nothing is rounded twice."""
    uniform = numpy.random.default_rng(seed).integers(0, 1 << 20, shape) * (span / (1 << 20))
    return numpy.asarray(uniform + low, dtype)


def tensor(
    *shape: int, seed: int = 0, low: float = -1.0, span: float = 2.0, wide: bool = False
) -> torch.Tensor:
    """As :func:`array`, float64 where ``wide``."""
    return torch.from_numpy(
        array(*shape, seed=seed, low=low, span=span, dtype="float64" if wide else "float32")
    )


def leaf(*shape: int, seed: int = 0) -> torch.Tensor:
    """A tensor whose gradient is asked for."""
    return tensor(*shape, seed=seed).requires_grad_()


def fill(model: Network) -> Network:
    """Weights of a model from :func:`tensor`, small enough to keep values near one; norms are left at one."""
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            if parameter.dim() > 1:
                inner = parameter[0].numel()
                parameter.copy_(tensor(*parameter.shape, seed=number) / 2.0 ** round(numpy.log2(inner) / 2))
            elif (parameter != 1).any():
                parameter.copy_(tensor(*parameter.shape, seed=number) / 16)
    return model


def image(height: int = 45, width: int = 61, channels: int = 3, seed: int = 0) -> NDArray[numpy.uint8]:
    """uint8 [height, width, channels]: a picture of blocks with noise on it."""
    random = numpy.random.default_rng(seed)
    coarse = random.integers(0, 160, (height // 8 + 1, width // 8 + 1, channels))
    fine = random.integers(0, 96, (height, width, channels))
    return (coarse.repeat(8, 0).repeat(8, 1)[:height, :width] + fine).astype(numpy.uint8)
