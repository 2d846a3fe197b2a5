"""The dtype that a task computes in, by what it asks for and what the device has."""

from __future__ import annotations

from uvlp.core import machine
from uvlp.core.errors import UvlpError


def resolve_dtype(precision: str, device: str, *, training: bool = False) -> str:
    """The name of the dtype for ``precision`` (a name, or ``auto``) on ``device`` (``cpu`` or ``cuda``).

    ``auto`` is float32 on a CPU. On a GPU it is float16 to compute with finished weights, as published, and
    to train bfloat16 where the GPU computes in it (from compute capability 8.0), else float16.

    Raises:
        UvlpError: an unknown name, float16 on a CPU, or bfloat16 on a GPU that has none.
    """
    allowed = ("auto", "float32", "bfloat16", *(["float16"] if device == "cuda" else []))
    if precision not in allowed:
        raise UvlpError(f"precision on {device}", got=precision, allowed=", ".join(allowed))
    native = device == "cuda" and machine.gpu_has_bfloat16()
    if precision == "auto":
        if device == "cpu":
            return "float32"
        return "bfloat16" if training and native else "float16"
    if precision == "bfloat16" and device == "cuda" and not native:
        raise UvlpError(
            "this GPU does not compute in bfloat16", got=machine.gpu_name(), allowed="auto, float16"
        )
    return precision
