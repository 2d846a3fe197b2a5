"""Values of a request, checked and brought into one form, however they were given."""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.recipes.overrides import LARGEST_INTEGER


def integer(what: str, value: object, least: int, most: int = LARGEST_INTEGER) -> int:
    """Return an integer from ``least`` to ``most``, given as a number or as text.

    Raises:
        UvlpError: it is not an integer, too small or too large.
    """
    number = least - 1
    if isinstance(value, str):
        # `int` would accept 1_0 as ten, and digits of any script.
        digits = re.fullmatch(r"\s*\+?0*([0-9]{1,20})\s*", value)
        number = int(digits[1]) if digits else number
    elif not isinstance(value, bool) and hasattr(value, "__index__"):
        number = operator.index(value)
    if not least <= number <= most:
        raise UvlpError(f"{what} must be an integer", got=value, allowed=f"{least} or more, up to {most}")
    return number


def decimal(what: str, value: object) -> float:
    """Return a finite number, given as a number or as text.

    Raises:
        UvlpError: it is not a number.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UvlpError(f"{what} must be a number", got=value, allowed="a number such as 0.5")
    return number


def text(what: str, value: object) -> str:
    """Return a text that is not empty; a path is one too.

    Raises:
        UvlpError: it is empty, e.g. from an unset shell variable, or no text.
    """
    if not isinstance(value, str | os.PathLike):
        raise UvlpError(f"{what} must be a text", got=value, allowed="a name or a path")
    name = os.fspath(value)
    if not isinstance(name, str) or not name.strip():
        raise UvlpError(f"{what} is empty", got=name, fix="give a name or a path, or omit the option")
    return name


def flag(what: str, value: object) -> bool:
    """Return a truth value.

    Raises:
        UvlpError: it is something else.
    """
    if not isinstance(value, bool):
        raise UvlpError(f"{what} must be true or false", got=value, allowed="true, false")
    return value


def listed(what: str, value: object) -> tuple[object, ...]:
    """Return the distinct items of one value or of several; texts may contain commas.

    Raises:
        UvlpError: something that is no list, or an empty one.
    """
    items = value if isinstance(value, Iterable) and not isinstance(value, str | Mapping) else [value]
    found: list[object] = []
    for item in items:
        parts = map(str.strip, item.split(",")) if isinstance(item, str) else [item]
        found += [part for part in parts if part != "" and part not in found]
    if not found:
        raise UvlpError(f"no {what} given", fix="give at least one, or omit the option")
    return tuple(found)


def settings(value: object) -> tuple[tuple[str, Any], ...]:
    """Return paths of settings with their values, from texts ``KEY=VALUE`` or a mapping.

    Raises:
        UvlpError: a text without ``=``, or another form.
    """
    if isinstance(value, Mapping):
        return tuple((str(path), each) for path, each in value.items())
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise UvlpError("--set needs key=value", got=value, fix="for example --set evaluate.epochs=100")
    return tuple(_setting(each) for each in value)


def _setting(given: object) -> tuple[str, Any]:
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
        return given
    path, equals, value = given.partition("=") if isinstance(given, str) else ("", "", "")
    if not equals:
        raise UvlpError("--set needs key=value", got=given, fix="for example --set evaluate.epochs=100")
    return path, value
