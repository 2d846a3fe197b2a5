"""Lists of names, and sizes, in words of one readable line."""

from __future__ import annotations

import re
from collections.abc import Iterable

SHOWN = 3
LONGEST_NAME = 200


def cut(text: str, longest: int) -> str:
    """``text`` with its middle left out where it has more than ``longest`` characters."""
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def first_few(names: Iterable[str]) -> str:
    """At most three names, then how many more: ``a, b, c and 12 more``."""
    every = list(names)
    rest = len(every) - SHOWN
    return ", ".join(cut(name, LONGEST_NAME) for name in every[:SHOWN]) + (
        f" and {rest} more" if rest > 0 else ""
    )


def kind_of(value: object) -> str:
    """What a value is, for readers: ``list``, ``ndarray float64 [10, 4]``."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        number = str(dtype).removeprefix("torch.")
        return f"{type(value).__name__} {number} [{', '.join(map(str, shape))}]"
    return type(value).__name__


def byte_size(count: int) -> str:
    """A number of bytes for readers, in powers of 1000; ``unknown size`` for none."""
    if count <= 0:
        return "unknown size"
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


# What Markdown takes for emphasis, code, links, cells or HTML; an underscore inside a word is none of it.
_MARKS = re.compile(r"[\\`*|\[\]]|<(?=[a-zA-Z/!?])|(?<!\w)_|_(?!\w)|~(?=~)|(?<=~)~|&(?=#?\w+;)")
# What makes a heading, a list or a quotation of a line that begins so.
_BLOCKS = re.compile(r"^(?:[#+=>-]|\d+[.)])")


def in_markdown(text: str) -> str:
    """A part of a line that Markdown shows as ``text``, whatever signs the name of a folder or class has."""
    return _MARKS.sub(lambda found: "\\" + found[0], " ".join(text.split()))


def markdown_line(text: str) -> str:
    """The same for a whole line, or an item of a list."""
    return _BLOCKS.sub(lambda found: found[0][:-1] + "\\" + found[0][-1], in_markdown(text))
