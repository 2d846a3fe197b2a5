"""One Unicode form for names: a Mac decomposes what Linux composes, and both look the same."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from uvlp.core.wording import first_few

DIFFERENT = "the names differ in their Unicode form only (NFC, NFD)"


def nfc(text: str) -> str:
    """The composed form, in which names are compared and sorted."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def twins(names: Iterable[str]) -> str:
    """Names that are one in NFC, with the form of each; "" where there are none."""
    every = [name for name in names if not name.isascii()]
    counts = Counter(map(nfc, every))
    return first_few(f"{name} ({form(name)})" for name in every if counts[nfc(name)] > 1)


def form(name: str) -> str:
    """What a name is written in, for messages."""
    if name == nfc(name):
        return "NFC"
    return "NFD" if name == unicodedata.normalize("NFD", name) else "mixed"


def other_form(path: Path) -> Path | None:
    """A folder that is there and equals ``path``, which is not, in NFC; None where there is none."""
    if path.is_dir() or str(path).isascii():
        return path if path.is_dir() else None
    above = other_form(path.parent)
    try:
        alike = [entry for entry in above.iterdir() if nfc(entry.name) == nfc(path.name)] if above else []
    except OSError:
        return None
    return alike[0] if len(alike) == 1 and alike[0].is_dir() else None
