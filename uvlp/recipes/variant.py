"""Variants of a method, named after a colon on the command line: `uvlp:no-outliers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant.

    Attributes:
        text: what it removes or replaces, in plain words, e.g. ``"without the removal of outliers"``.
        changes: values of the method's settings by name; below ``"synthesis"`` those of its synthesis.
        ablation: whether it takes a part of the method away; False for settings for other data.
    """

    text: str
    changes: Mapping[str, Any]
    ablation: bool = True


def variant(text: str, /, **changes: Any) -> Variant:
    """Return a variant that changes some settings; ``synthesis={...}`` changes those of the synthesis."""
    return Variant(text=text, changes=changes)


def preset(text: str, /, **changes: Any) -> Variant:
    """Return a variant with settings for other data, which `uvlp ablate` leaves out."""
    return Variant(text=text, changes=changes, ablation=False)


def as_variant(declared: Variant | Mapping[str, Any]) -> Variant:
    """Return a variant that was declared by its changes alone, with these as its text."""
    if isinstance(declared, Variant):
        return declared
    return Variant(text="with " + ", ".join(assignments(declared)), changes=declared)


def assignments(changes: Mapping[str, Any]) -> list[str]:
    """Return changes as texts in the syntax of `--set`: ``["skip=50", "synthesis.steps=20"]``."""
    return [f"{path}={value}" for path, value in flat(changes).items()]


def flat(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of changes by dotted path."""
    values: dict[str, Any] = {}
    for name, value in changes.items():
        below = flat(value) if isinstance(value, Mapping) else {"": value}
        values |= {f"{name}.{path}".rstrip("."): each for path, each in below.items()}
    return values
