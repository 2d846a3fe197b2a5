"""Variants of a method and their combinations, joined by a plus: `uvlp:alpha=fixed+no-outliers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.declarations.method import MethodDeclaration
from uvlp.recipes.variant import flat

JOIN = "+"


class Contradiction(UvlpError):
    """A combination of variants whose parts exclude each other."""


def parts_of(declared: MethodDeclaration, spec: str) -> tuple[str, ...]:
    """Return the variants that ``spec`` combines, in the order in which the method declares them.

    Raises:
        UvlpError: a part is unknown (suggests the nearest) or named twice, or two set one setting.
    """
    name, colon, combined = spec.partition(":")
    if not colon:
        return ()
    parts = combined.split(JOIN)
    for part in parts:
        if part not in declared.variants:
            raise _unknown(declared, f"{name}:{part}")
        if parts.count(part) > 1:
            raise UvlpError("a variant is named twice", got=spec, fix=f"leave out one {part}")
    ordered = tuple(part for part in declared.variants if part in parts)
    _check_settings(declared, spec, ordered)
    return ordered


def _unknown(declared: MethodDeclaration, got: str) -> UvlpError:
    name = got.partition(":")[0]
    if not declared.variants:
        return UvlpError("unknown variant of a method", got=got, allowed=f"{name} has no variants")
    return unknown_name("variant of a method", got, [f"{name}:{known}" for known in declared.variants])


def _check_settings(declared: MethodDeclaration, spec: str, parts: Sequence[str]) -> None:
    """Refuse two parts that give one setting two values."""
    for first, second in combinations(parts, 2):
        one, other = (flat(declared.variants[part].changes) for part in (first, second))
        for path in one.keys() & other.keys():
            if one[path] != other[path]:
                raise contradiction(spec, f"{first} and {second} both set {path}")


def contradiction(spec: str, why: str) -> Contradiction:
    """Return the error for a combination that contradicts itself."""
    what = f"a combination of variants contradicts itself, {why}"
    return Contradiction(what, got=spec, fix="leave one of them out")


def changes_of(declared: MethodDeclaration, parts: Sequence[str]) -> dict[str, Any]:
    """Return the settings that a combination changes, those of the synthesis below ``"synthesis"``."""
    changes: dict[str, Any] = {}
    for part in parts:
        for name, value in declared.variants[part].changes.items():
            changes[name] = {**changes.get(name, {}), **value} if isinstance(value, Mapping) else value
    return changes


def text_of(declared: MethodDeclaration, parts: Sequence[str]) -> str:
    """Return what variants remove or replace, in plain words."""
    return "; ".join(declared.variants[part].text for part in parts)


def joined(name: str, parts: Sequence[str]) -> str:
    """Return a method with its variants as on the command line."""
    return f"{name}:{JOIN.join(parts)}" if parts else name
