"""Which number type a model computes in, chosen by what the device can do."""

from __future__ import annotations

import torch

from uvlp.core.errors import UvlpError

TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def resolve(precision: str, device: str, *, training: bool = False) -> torch.dtype:
    """The type for ``precision`` (a name, or ``auto``) on ``device`` (``cpu`` or ``cuda``).

    ``auto`` is float32 on a CPU. On a GPU it is float16 to compute with finished weights, as published, and
    to train bfloat16 where the GPU computes in it (from compute capability 8.0), else float16.

    Raises:
        UvlpError: an unknown name, float16 on a CPU, or bfloat16 on a GPU that has none.
    """
    allowed = ("auto", "float32", "bfloat16", *(["float16"] if device == "cuda" else []))
    if precision not in allowed:
        raise UvlpError(f"precision on {device}", got=precision, allowed=", ".join(allowed))
    native = device == "cuda" and torch.cuda.get_device_capability()[0] >= 8
    if precision == "auto":
        if device == "cpu":
            return torch.float32
        return torch.bfloat16 if training and native else torch.float16
    if precision == "bfloat16" and device == "cuda" and not native:
        raise UvlpError(
            "this GPU does not compute in bfloat16", got=torch.cuda.get_device_name(), allowed="auto, float16"
        )
    return TYPES[precision]


def name(dtype: torch.dtype) -> str:
    """``float16`` for ``torch.float16``."""
    return str(dtype).removeprefix("torch.")
