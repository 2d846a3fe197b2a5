"""`--set key=value` and method variants: changes of single fields, checked by type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from uvlp.core.errors import UvlpError, unknown_name

LARGEST_INTEGER = 2**31 - 1
LARGEST = 1e30
"""Above these limits, close to those of 32-bit numbers, libraries fail with errors of their own."""


def apply(settings: Any, path: str, value: Any) -> Any:
    """Return a copy of a settings dataclass with the field at the dotted ``path`` set from ``value``.

    Args:
        value: of the field's type, or a text as on the command line.

    Raises:
        UvlpError: no such field, or the value does not fit its type.
    """
    name, _, rest = path.partition(".")
    known = {f.name for f in fields(settings)}
    if name not in known:
        raise unknown_name("setting", name, known)
    old = getattr(settings, name)
    if isinstance(old, Mapping):
        raise UvlpError(
            f"the setting {name} consists of others", got=path, fix="set those, see --print-config"
        )
    if rest and not is_dataclass(old):
        raise UvlpError(f"the setting {name} has no parts", got=path)
    if is_dataclass(old) and not rest:
        raise UvlpError(
            f"the setting {name} has parts",
            got=path,
            allowed=", ".join(f"{name}.{f.name}" for f in fields(old)),
        )
    new = apply(old, rest, value) if rest else convert(name, old, value)
    return replace(settings, **{name: new})


def convert(name: str, old: Any, given: Any) -> Any:
    """Convert a value, or a text as on the command line, to the type of ``old``.

    Raises:
        UvlpError: it does not fit.
    """
    if isinstance(old, tuple) and isinstance(given, str | list | tuple):
        parts = given.split(",") if isinstance(given, str) else given
        return tuple(convert(name, old[0] if old else "", part) for part in parts)
    value = given
    if isinstance(given, str) and not isinstance(old, str):
        try:
            value = json.loads(given)
        except (ValueError, RecursionError):
            value = given
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
    integer = number and isinstance(value, int) and abs(value) <= LARGEST_INTEGER
    fits = {
        str: (isinstance(value, str), "a text"),
        tuple: (False, "a list"),
        bool: (isinstance(value, bool), "true or false"),
        int: (integer, f"an integer up to {LARGEST_INTEGER}"),
        float: (number, f"a number up to {LARGEST:g}"),
    }
    fit, allowed = fits[type(old)]
    if not fit:
        raise UvlpError(f"wrong type of setting {name}", got=given, allowed=allowed)
    return float(value) if isinstance(old, float) else value


def merge(settings: Any, changes: Mapping[str, Any]) -> Any:
    """Return a copy of a settings dataclass with some fields replaced; mappings change nested settings.

    Raises:
        UvlpError: no such field.
    """
    known = {f.name for f in fields(settings)}
    for name in changes:
        if name not in known:
            raise unknown_name("setting", name, known)
    new = {
        name: merge(getattr(settings, name), value) if isinstance(value, Mapping) else value
        for name, value in changes.items()
    }
    return replace(settings, **new)
