"""The dtype of a task, from its setting and the device."""

from __future__ import annotations

from uvlp.core import machine
from uvlp.core.errors import UvlpError


def resolve_dtype(precision: str, device: str, *, training: bool = False) -> str:
    """Return the name of the dtype for ``precision`` (or ``auto``) on ``device`` (``cpu`` or ``cuda``).

    ``auto`` is float32 on a CPU. On a GPU it is float16 for inference, as published; for training it is
    bfloat16 if supported (compute capability 8.0 or higher), else float16.

    Raises:
        UvlpError: an unknown name, float16 on a CPU, or bfloat16 on a GPU without support.
    """
    allowed = ("auto", "float32", "bfloat16", *(["float16"] if device == "cuda" else []))
    if precision not in allowed:
        raise UvlpError(f"unsupported precision on {device}", got=precision, allowed=", ".join(allowed))
    native = device == "cuda" and machine.gpu_has_bfloat16()
    if precision == "auto":
        if device == "cpu":
            return "float32"
        return "bfloat16" if training and native else "float16"
    if precision == "bfloat16" and device == "cuda" and not native:
        raise UvlpError("this GPU does not support bfloat16", got=machine.gpu_name(), allowed="auto, float16")
    return precision
