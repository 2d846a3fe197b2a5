"""Dataclasses as JSON, for orders: every object once, by the name of its class, and nothing that is executed.

Whoever may write to a shared store may change an order. Reading one therefore makes nothing but dataclasses
of UVLP and of packages with plug-ins, from plain values. An object that several others have is written once:
the chain of a table would be enormous otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from uvlp.core import plugins
from uvlp.core.errors import UvlpError

OBJECT, TUPLE, MAP, PATH = "object", "tuple", "map", "path"
"""Tags of what JSON lacks: a dataclass by its row, a tuple, a mapping and a path."""


@dataclass(slots=True)
class Encoder:
    """Encodes values that may share objects.

    Attributes:
        rows: the encoded dataclasses, each after those that it has.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    _row_of: dict[int, int] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)

    def encode(self, value: Any) -> Any:
        """Return a value as JSON has it.

        Raises:
            UvlpError: it has a part of another type, such as a setting of a plug-in.
        """
        if value is None or isinstance(value, bool | int | str) or _finite(value):
            return value
        if is_dataclass(value) and not isinstance(value, type):
            return {OBJECT: self._row(value)}
        if isinstance(value, Mapping):
            return {MAP: [[self.encode(name), self.encode(each)] for name, each in value.items()]}
        if isinstance(value, list | tuple):
            values = [self.encode(each) for each in value]
            return values if isinstance(value, list) else {TUPLE: values}
        if isinstance(value, Path):
            return {PATH: str(value)}
        allowed = "texts, finite numbers, True, False, None, paths, lists, tuples, mappings, dataclasses"
        raise UvlpError("a job for a cluster has a value that cannot be written", got=value, allowed=allowed)

    def _row(self, value: Any) -> int:
        if id(value) not in self._row_of:
            kind = type(value)
            content = {each.name: self.encode(getattr(value, each.name)) for each in fields(value)}
            self.rows.append({"class": f"{kind.__module__}:{kind.__qualname__}", "fields": content})
            self._row_of[id(value)] = len(self.rows) - 1
            self._kept.append(value)  # its id is not used again
        return self._row_of[id(value)]


def _finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


@dataclass(slots=True)
class Decoder:
    """Makes the values of an `Encoder` with these ``rows``; only objects that are asked for are made."""

    rows: Sequence[Any]
    _made: dict[int, Any] = field(default_factory=dict)

    def decode(self, value: Any, before: int | None = None) -> Any:
        """Return the value that was encoded.

        Args:
            value: as JSON has it.
            before: row of the object that has it.

        Raises:
            ValueError: it was not written by an `Encoder`, or by that of another version of UVLP.
        """
        if isinstance(value, list):
            return [self.decode(each, before) for each in value]
        if not isinstance(value, dict):
            return value
        (tag, content), *more = value.items() or [("", None)]
        if more:
            raise ValueError("an object with several tags")
        if tag == OBJECT and type(content) is int:
            return self._object(content, before)
        if tag == PATH and isinstance(content, str):
            return Path(content)
        if tag == TUPLE and isinstance(content, list):
            return tuple(self.decode(each, before) for each in content)
        if tag == MAP and isinstance(content, list) and all(_is_pair(each) for each in content):
            return {self.decode(name, before): self.decode(each, before) for name, each in content}
        raise ValueError(f"a wrong value {tag[:40]!r}")

    def _object(self, row: int, before: int | None) -> Any:
        if not 0 <= row < (len(self.rows) if before is None else before):
            raise ValueError("an object that is not there")
        if row not in self._made:
            match self.rows[row]:
                case {"class": str(name), "fields": dict(content), **rest} if not rest:
                    values = {each: self.decode(value, row) for each, value in content.items()}
                    self._made[row] = _build(plugins.dataclass_of(name), values)
                case _:
                    raise ValueError("an object without a class")
        return self._made[row]


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int | float | None)


def _build(kind: type, values: dict[str, Any]) -> Any:
    """Return a dataclass whose fields have the types that it declares.

    Raises:
        ValueError: a field is missing, unknown or of another type.
    """
    if {each.name for each in fields(kind)} != set(values):
        raise ValueError(f"wrong fields of {kind.__name__}")
    for name, hint in _hints(kind).items():
        if name in values and not _fits(hint, values[name]):
            raise ValueError(f"field {name} of {kind.__name__} has the wrong type")
    return kind(**values)


@cache
def _hints(kind: type) -> dict[str, Any]:
    try:
        return get_type_hints(kind)
    except NameError:
        return {}  # names that a plug-in imports for type checkers alone


def _fits(hint: Any, value: Any) -> bool:
    """Return whether a value has a type; parts of it are compared for the usual containers."""
    origin, parts = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(part, value) for part in parts)
    if hint is None or hint is NoneType:
        return value is None
    if hint is Any or not isinstance(origin, type) or getattr(origin, "_is_protocol", False):
        return True
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, origin) or (origin is int and isinstance(value, bool)):
        return False
    if isinstance(value, Mapping) and len(parts) == 2:
        return all(_fits(parts[0], name) and _fits(parts[1], each) for name, each in value.items())
    if isinstance(value, tuple) and parts and parts[-1] is not ...:
        return len(value) == len(parts) and all(map(_fits, parts, value))
    if isinstance(value, list | tuple) and parts:
        return all(_fits(parts[0], each) for each in value)
    return True
