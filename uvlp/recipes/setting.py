"""Declaration of a setting: its default, description, the source of the default, and its limits.

A dataclass whose fields are all settings can be changed by `--set` on the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any

from uvlp.core.errors import UvlpError

# Longer runs would take years, and their plans all memory.
MOST_EPOCHS, MOST_VALIDATIONS = 10**6, 10**4
WIDEST, MOST_LAYERS = 2**14, 2**10
PRECISIONS = ("auto", "float32", "float16", "bfloat16")
ARITHMETIC = ("tf32", "float32", "bfloat16")
"""Precisions of protocols (`models/device.py`)."""


def setting(
    default: Any,
    text: str,
    source: str = "ours",
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    decides: bool = True,
) -> Any:
    """Return a dataclass field with its description, the source of its default value, and its limits.

    Args:
        default: a number, boolean, string, or tuple of them; it determines the type of the field.
        text: one sentence, shown by ``--print-config``.
        source: source of the default: a paper, an upstream file, a measurement, or ``D-nn`` in
            ``paper_tables/deviations.md``.
        least, most: inclusive limits of a number, or of each value of a tuple; None: no limit.
        choices: allowed strings; empty: any.
        decides: whether results depend on it; otherwise it is not part of any key, and an interrupted run
            can resume with another value.
    """
    limits = {"least": least, "most": most, "choices": choices}
    return field(default=default, metadata={"help": text, "source": source, "decides": decides, **limits})


def check_limits(settings: Any, section: str) -> None:
    """Compare every field of a settings dataclass with its limits.

    Args:
        settings: an instance.
        section: prefix of its fields for the user, e.g. ``"evaluate"``; empty: none.

    Raises:
        UvlpError: a field is out of range, NaN or not an allowed string, or a tuple is empty.
    """
    for each in fields(settings):
        if each.metadata:
            name = f"{section}.{each.name}".removeprefix(".")
            _check(f"setting {name}", getattr(settings, each.name), each.metadata)


def _check(what: str, value: Any, limits: Mapping[str, Any]) -> None:
    values = value if isinstance(value, tuple) else (value,)
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
    least, most, choices = limits["least"], limits["most"], limits["choices"]
    if choices and not all(each in choices for each in values):
        raise UvlpError(what, got=shown, allowed=", ".join(each or repr(each) for each in choices))
    if least is None and most is None:
        return
    # Written so that NaN, for which comparisons are false, is outside.
    inside = [(least is None or least <= each) and (most is None or each <= most) for each in values]
    if not values or not all(inside):
        raise UvlpError(f"{what} out of range", got=shown, allowed=_range(least, most))


def _range(least: float | None, most: float | None) -> str:
    if most is None:
        return f"{least} or more"
    return f"up to {most}" if least is None else f"{least} to {most}"
