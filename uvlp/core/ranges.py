"""Numbers of a settings dataclass that no stage could use, said before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uvlp.core.errors import UvlpError

Range = tuple[float, float | None]


def check_ranges(settings: Any, section: str, ranges: Mapping[str, Range]) -> None:
    """Compare fields with (least, most), most None where there is no upper end.

    Args:
        settings: a dataclass.
        section: what its fields stand under for the user, e.g. ``"evaluate"``.
        ranges: by field.

    Raises:
        UvlpError: a field is out of its range, or is not a number (NaN).
    """
    for name, (least, most) in ranges.items():
        value = getattr(settings, name)
        if not (least <= value and (most is None or value <= most)):
            allowed = f"{least} or more" if most is None else f"{least} to {most}"
            raise UvlpError(f"setting {section}.{name} out of range", got=value, allowed=allowed)
