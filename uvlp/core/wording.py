"""Lists of names, sizes and types formatted for one readable line."""

from __future__ import annotations

import re
from collections.abc import Iterable

SHOWN = 3
LONGEST_NAME = 200


def cut(text: str, longest: int) -> str:
    """Return ``text``, with its middle cut out if it has more than ``longest`` characters."""
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def first_few(names: Iterable[str]) -> str:
    """List at most three names, then the number of others: ``a, b, c and 12 more``."""
    all_names = list(names)
    rest = len(all_names) - SHOWN
    return ", ".join(cut(name, LONGEST_NAME) for name in all_names[:SHOWN]) + (
        f" and {rest} more" if rest > 0 else ""
    )


def kind_of(value: object) -> str:
    """Describe the type of a value: ``list``, ``ndarray float64 [10, 4]``."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        dtype_name = str(dtype).removeprefix("torch.")
        return f"{type(value).__name__} {dtype_name} [{', '.join(map(str, shape))}]"
    return type(value).__name__


def byte_size(count: int) -> str:
    """Format a number of bytes in powers of 1000; ``unknown size`` for 0."""
    if count <= 0:
        return "unknown size"
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


# What Markdown reads as emphasis, code, links, cells or HTML; not an underscore inside a word.
_MARKS = re.compile(r"[\\`*|\[\]]|<(?=[a-zA-Z/!?])|(?<!\w)_|_(?!\w)|~(?=~)|(?<=~)~|&(?=#?\w+;)")
# What turns a line that begins with it into a heading, a list or a quotation.
_BLOCKS = re.compile(r"^(?:[#+=>-]|\d+[.)])")


def in_markdown(text: str) -> str:
    """Escape part of a line so that Markdown shows ``text`` verbatim, e.g. the name of a folder or class."""
    return _MARKS.sub(lambda match: "\\" + match[0], " ".join(text.split()))


def markdown_line(text: str) -> str:
    """Escape a complete line or list item as :func:`in_markdown` does."""
    return _BLOCKS.sub(lambda match: match[0][:-1] + "\\" + match[0][-1], in_markdown(text))


def duration(seconds: float | None) -> str:
    """Format a time with two digits: ``45 s``, ``31 min``, ``7.3 h``, ``12 days``."""
    if seconds is None:
        return "unknown"
    for unit, length in (("days", 86_400 * 2), ("h", 3600 * 2), ("min", 120)):
        if seconds >= length:
            amount = seconds / {"days": 86_400, "h": 3600, "min": 60}[unit]
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
