"""Lists of names in one readable line."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 3


def first_few(names: Iterable[str]) -> str:
    """At most three names, then how many more: ``a, b, c and 12 more``."""
    every = list(names)
    rest = len(every) - SHOWN
    return ", ".join(every[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
