"""Values of a settings dataclass that no stage could use, said before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uvlp.core.errors import UvlpError

Range = tuple[float, float | None]
# A run of more would take years, and a plan of it all memory.
MOST_EPOCHS, MOST_VALIDATIONS = 10**6, 10**4
WIDEST, MOST_LAYERS = 2**14, 2**10
Choices = tuple[str, ...]
ARITHMETIC: Choices = ("tf32", "float32", "bfloat16")
"""What a protocol may compute in (`blocks/arithmetic.py`)."""


def check_ranges(settings: Any, section: str, limits: Mapping[str, Range | Choices]) -> None:
    """Compare numbers with (least, most), most None where there is no upper end, and names with those known.

    Args:
        settings: a dataclass.
        section: what its fields stand under for the user, e.g. ``"evaluate"``; empty: under nothing.
        limits: by field; of a field with several values each is compared, and there must be one.

    Raises:
        UvlpError: a field is out of its range, is not a number (NaN), or is no known name.
    """
    for name, limit in limits.items():
        value = getattr(settings, name)
        values = value if isinstance(value, tuple) else (value,)
        if values and all(_fits(each, limit) for each in values):
            continue
        setting = f"setting {section}.{name}".replace(" .", " ")
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
        if isinstance(limit[0], str):
            allowed = ", ".join(repr(each) if not each else str(each) for each in limit)
            raise UvlpError(setting, got=shown, allowed=allowed)
        allowed = f"{limit[0]} or more" if limit[1] is None else f"{limit[0]} to {limit[1]}"
        raise UvlpError(f"{setting} out of range", got=shown, allowed=allowed)


def _fits(value: Any, limit: Range | Choices) -> bool:
    if isinstance(limit[0], str):
        return value in limit
    least, most = limit
    return bool(least <= value and (most is None or value <= most))
