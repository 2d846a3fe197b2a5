"""Unicode normal forms of names: macOS decomposes what Linux composes, and both look the same."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from uvlp.core.wording import first_few

DIFFERENT = "the names differ in their Unicode form only (NFC, NFD)"


def nfc(text: str) -> str:
    """Return the composed form, in which names are compared and sorted."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def twins(names: Iterable[str]) -> str:
    """List names that are equal in NFC, with the form of each; "" if there are none."""
    candidates = [name for name in names if not name.isascii()]
    counts = Counter(map(nfc, candidates))
    return first_few(f"{name} ({form(name)})" for name in candidates if counts[nfc(name)] > 1)


def form(name: str) -> str:
    """Return the normal form of a name, for messages."""
    if name == nfc(name):
        return "NFC"
    return "NFD" if name == unicodedata.normalize("NFD", name) else "mixed"


def other_form(path: Path) -> Path | None:
    """Return an existing folder that equals the missing ``path`` in NFC; None if there is none."""
    if path.is_dir() or str(path).isascii():
        return path if path.is_dir() else None
    parent = other_form(path.parent)
    try:
        equal = [entry for entry in parent.iterdir() if nfc(entry.name) == nfc(path.name)] if parent else []
    except OSError:
        return None
    return equal[0] if len(equal) == 1 and equal[0].is_dir() else None
