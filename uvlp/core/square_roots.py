"""Square roots that are rounded as IEEE 754 demands, on every CPU.

torch hands `sqrt` and powers of one half on a CPU to MKL's vector library. For AMD's processors that
computes from an estimate, and a fifth of its float32 roots are the neighbour of the right number.
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
"""Of a scheduler: all that computes."""


def square_root(values: Tensor) -> Tensor:
    """Correctly rounded roots in the shape of ``values``, which need no gradient; not a number below zero.

    Half precision is computed in float32, which rounds to the same. A GPU computes as it always does.
    """
    assert not values.requires_grad
    if values.device.type != "cpu":
        return values.sqrt()
    if values.dtype != torch.float64:
        # Exact for float32 itself; integers become it, as torch has it.
        dtype = values.dtype if values.is_floating_point() else torch.float32
        return _root(values.float()).to(dtype)
    return _root(values)


def _root(values: Tensor) -> Tensor:
    with numpy.errstate(invalid="ignore"):
        return torch.as_tensor(numpy.sqrt(values.numpy()))


class _Rooted(TorchFunctionMode):
    """Within it every call of torch for a root, or a power of one half, is `square_root`."""

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        root = func in (torch.sqrt, Tensor.sqrt)
        power = func in (torch.pow, Tensor.pow, Tensor.__pow__) and _is_half(args)
        return square_root(args[0]) if root or power else func(*args, **(kwargs or {}))


def _is_half(args: Sequence[Any]) -> bool:
    return isinstance(args[0], Tensor) and isinstance(args[1], float) and args[1] == 0.5


def with_square_roots(scheduler: type) -> Any:
    """A scheduler class of diffusers, of the same name and settings, that computes with `square_root`."""
    own = {name: _within(getattr(scheduler, name)) for name in METHODS if hasattr(scheduler, name)}
    return type(scheduler.__name__, (scheduler,), own)


def _within(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)  # diffusers asks for the parameters
    def rooted(*args: Any, **kwargs: Any) -> Any:
        with _Rooted():
            return method(*args, **kwargs)

    return rooted
