"""Elementwise functions of Python, NumPy and torch in float32 and float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy
import torch
from scipy import special
from torch.nn import functional

from tests.processors.inputs import ODD_COUNT, array, tensor

PYTHON: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": lambda x: math.log(abs(x) + 0.5),
    "log1p": lambda x: math.log1p(abs(x)),
    "expm1": math.expm1,
    "pow": lambda x: math.pow(abs(x) + 0.5, 1.7),
    "** 0.5": lambda x: abs(x) ** 0.5,
    "** -1.7": lambda x: (abs(x) + 0.5) ** -1.7,
    "sqrt": lambda x: math.sqrt(abs(x)),
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "tanh": math.tanh,
    "atan2": lambda x: math.atan2(x, 1.25),
    "hypot": lambda x: math.hypot(x, 1.25),
    "erf": math.erf,
    "lgamma": lambda x: math.lgamma(abs(x) + 0.5),
}
# Arguments of functions with a restricted domain are derived from x in [-4, 4).
NUMPY: dict[str, Callable[..., object]] = {
    "exp": numpy.exp,
    "expm1": numpy.expm1,
    "log": lambda x: numpy.log(abs(x) + 0.5),
    "log1p": lambda x: numpy.log1p(abs(x)),
    "sqrt": lambda x: numpy.sqrt(abs(x)),
    "** 0.5": lambda x: abs(x) ** 0.5,
    "** 3": lambda x: x**3,
    "power": lambda x: numpy.power(abs(x) + 0.5, 1.7),
    "sin": numpy.sin,
    "cos": numpy.cos,
    "tan": numpy.tan,
    "tanh": numpy.tanh,
    "arcsin": lambda x: numpy.arcsin(x / 4),
    "arctan2": lambda x: numpy.arctan2(x, x[::-1]),
    "hypot": lambda x: numpy.hypot(x, x[::-1]),
    "divide": lambda x: x / (abs(x[::-1]) + 0.5),
    "rint": lambda x: numpy.rint(4 * x),
    "square": numpy.square,
    "reciprocal": lambda x: numpy.reciprocal(abs(x) + 0.5),
    "to float16": lambda x: x.astype(numpy.float16),
}
TORCH: dict[str, Callable[..., torch.Tensor]] = {
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": lambda x: torch.log(x.abs() + 0.5),
    "log1p": lambda x: torch.log1p(x.abs()),
    "sqrt": lambda x: x.abs().sqrt(),
    "** 0.5": lambda x: x.abs() ** 0.5,
    "** -0.5": lambda x: (x.abs() + 0.5) ** -0.5,
    "rsqrt": lambda x: torch.rsqrt(x.abs() + 0.5),
    "** 1.7": lambda x: (x.abs() + 0.5) ** 1.7,
    "** 3": lambda x: x**3,
    "square": torch.square,
    "reciprocal": lambda x: torch.reciprocal(x.abs() + 0.5),
    "divide": lambda x: x / (x.flip(0).abs() + 0.5),
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": lambda x: torch.asin(x / 4),
    "acos": lambda x: torch.acos(x / 4),
    "atan": torch.atan,
    "atan2": lambda x: torch.atan2(x, x.flip(0)),
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "erf": torch.erf,
    "erfinv": lambda x: torch.erfinv(x / 4),
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "quick gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "softplus": functional.softplus,
    "logsigmoid": functional.logsigmoid,
    "relu and clamp": lambda x: torch.relu(x) + x.clamp(-1, 1),
    "round": lambda x: torch.round(4 * x),
    "lerp": lambda x: torch.lerp(x, x.flip(0), 0.3),
    "addcmul": lambda x: torch.addcmul(x, x.flip(0), x, value=0.3),
    "addcdiv": lambda x: torch.addcdiv(x, x.flip(0), x.abs() + 0.5, value=0.3),
    "where and isfinite": lambda x: torch.where(x.isfinite(), 2 * x, x),
    "to float16": lambda x: x.half(),
    "to bfloat16": lambda x: x.bfloat16(),
}
SPECIAL: dict[str, Callable[..., object]] = {
    "stdtr": lambda x: special.stdtr(5, x),
    "stdtrit": lambda x: special.stdtrit(5, x / 8 + 0.5),
    "ndtr": special.ndtr,
    "ndtri": lambda x: special.ndtri(x / 9 + 0.5),
    "betainc": lambda x: special.betainc(2.5, 3.5, x / 8 + 0.5),
    "gammaln": lambda x: special.gammaln(abs(x) + 0.5),
    "expit": special.expit,
    "logsumexp": lambda x: special.logsumexp(x.reshape(-1, 8), axis=1),
    "softmax": lambda x: special.softmax(x.reshape(-1, 8), axis=1),
}


def _python(function: Callable[[float], float]) -> Callable[[], object]:
    return lambda: numpy.asarray([function(x) for x in array(ODD_COUNT, dtype="float64").tolist()])


def _numpy(function: Callable[..., object], dtype: str, count: int = ODD_COUNT) -> Callable[[], object]:
    return lambda: function(array(count, dtype=dtype))


def _torch(function: Callable[..., torch.Tensor], wide: bool) -> Callable[[], object]:
    return lambda: function(tensor(ODD_COUNT, low=-4, span=8, wide=wide))


def operations() -> Iterable[tuple[str, Callable[[], object]]]:
    for name, function in PYTHON.items():
        yield f"math.{name}", _python(function)
    for dtype in ("float32", "float64"):
        for name, call in NUMPY.items():
            yield f"numpy.{name} {dtype}", _numpy(call, dtype)
        for name, computed in TORCH.items():
            yield f"torch.{name} {dtype}", _torch(computed, dtype == "float64")
    for name, call in SPECIAL.items():
        yield f"scipy.special.{name}", _numpy(call, "float64", 4_096)
