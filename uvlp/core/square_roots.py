"""Square roots that are rounded as IEEE 754 requires, on every CPU.

On a CPU, torch computes `sqrt` and powers of one half with MKL's vector library. On AMD processors that
starts from an estimate, and a fifth of its float32 roots are off by one unit in the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

METHODS = ("__init__", "add_noise", "scale_model_input", "set_timesteps", "step")
"""The methods of a scheduler that compute."""


def square_root(values: Tensor) -> Tensor:
    """Return correctly rounded roots in the shape of ``values``, without gradients; NaN below zero.

    Half precision is computed in float32, which rounds to the same result. GPUs use their own `sqrt`.
    """
    assert not values.requires_grad
    if values.device.type != "cpu":
        return values.sqrt()
    if values.dtype != torch.float64:
        # Exact for float32; integers become float32, as in torch.
        dtype = values.dtype if values.is_floating_point() else torch.float32
        return _root(values.float()).to(dtype)
    return _root(values)


def _root(values: Tensor) -> Tensor:
    with numpy.errstate(invalid="ignore"):
        return torch.as_tensor(numpy.sqrt(values.numpy()))


class _Rooted(TorchFunctionMode):
    """Mode in which every torch call for a root, or a power of one half, is `square_root`."""

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        root = func in (torch.sqrt, Tensor.sqrt)
        power = func in (torch.pow, Tensor.pow, Tensor.__pow__) and _is_half(args)
        return square_root(args[0]) if root or power else func(*args, **(kwargs or {}))


def _is_half(args: Sequence[Any]) -> bool:
    return isinstance(args[0], Tensor) and isinstance(args[1], float) and args[1] == 0.5


def with_square_roots(scheduler: type) -> Any:
    """Return the diffusers scheduler class, with its name and settings, computing with `square_root`."""
    wrapped = {name: _within(getattr(scheduler, name)) for name in METHODS if hasattr(scheduler, name)}
    return type(scheduler.__name__, (scheduler,), wrapped)


def _within(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)  # diffusers inspects the parameters
    def rooted(*args: Any, **kwargs: Any) -> Any:
        with _Rooted():
            return method(*args, **kwargs)

    return rooted
