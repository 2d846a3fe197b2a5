"""JSON files read into dataclasses, with every field checked against its type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import check_regular
from uvlp.core.files.lines import read_lines

T = TypeVar("T")


def parse(text: str | bytes) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: it is not JSON, not UTF-8, nested too deeply, or repeats a key in an object.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key appears twice in an object")
    return value


def build(kind: type[T], value: Any) -> T:
    """Build a dataclass from a JSON object with the same fields and types; lists become tuples.

    Raises:
        ValueError: a field is missing, unknown or of another type.
    """
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    hints, needed = _fields(kind)  # type: ignore[arg-type]
    missing = [name for name in needed if name not in value]
    unknown = [name for name in value if name not in hints]
    if unknown or missing:
        raise ValueError(f"missing field {missing[0]}" if missing else f"unknown field {unknown[0]!r}"[:80])
    typed = {
        name: each if type(each) is hints[name] else _typed(hints[name], each, name)
        for name, each in value.items()
    }
    return kind(**typed)


@cache
def _fields(kind: type) -> tuple[dict[str, Any], list[str]]:
    """Return the types of a dataclass's fields by name, and the names of those without a default."""
    known = fields(kind)
    hints = get_type_hints(kind)
    needed = [each.name for each in known if each.default is MISSING and each.default_factory is MISSING]
    return {each.name: hints[each.name] for each in known}, needed


def _typed(hint: Any, value: Any, name: str) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, UnionType):
        if value is None and NoneType in parts:
            return None
        return _typed(next(part for part in parts if part is not NoneType), value, name)
    if origin is tuple and isinstance(value, list):
        item_types = parts[:1] * len(value) if parts[1:] == (...,) else parts
        if len(item_types) == len(value):
            return tuple(_typed(part, each, name) for part, each in zip(item_types, value, strict=True))
    if origin in (dict, Mapping) and isinstance(value, dict):
        return {key: _typed(parts[1], each, f"{name}.{key}"[:80]) for key, each in value.items()}
    if is_dataclass(hint) and isinstance(value, dict):
        return build(hint, value)  # type: ignore[arg-type]
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"field {name} is too large") from None
    if hint in (bool, int, str) and type(value) is hint:
        return value
    raise ValueError(f"field {name} has the wrong type")


def read(kind: type[T], path: Path) -> T:
    """Read the dataclass that an artifact's file stores as JSON.

    Raises:
        UvlpError: the file is damaged; names the field.
        OSError: it cannot be read.
    """
    try:
        return build(kind, parse(_content(path)))
    except ValueError as error:
        raise damaged(path, error) from error


def read_object(path: Path) -> dict[str, Any]:
    """Read the JSON object that an artifact's file stores.

    Raises:
        UvlpError: the file is damaged.
        OSError: it cannot be read.
    """
    try:
        value = parse(_content(path))
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
    except ValueError as error:
        raise damaged(path, error) from error
    return value


def read_texts(path: Path) -> dict[str, str]:
    """Read the JSON object of strings that an artifact's file stores.

    Raises:
        UvlpError: the file is damaged.
        OSError: it cannot be read.
    """
    texts = read_object(path)
    if not all(isinstance(value, str) for value in texts.values()):
        raise damaged(path, ValueError("not an object of strings"))
    return texts


def _content(path: Path) -> bytes:
    check_regular(path)
    return path.read_bytes()


def read_rows(kind: type[T], path: Path) -> list[T]:
    """Read the dataclasses that an artifact's file stores, one JSON object per line.

    Raises:
        UvlpError: the file is damaged; names the line.
        OSError: it cannot be read.
    """
    check_regular(path)
    number, rows = 0, []
    try:
        for number, line in enumerate(read_lines(path), 1):  # noqa: B007 - used in the message
            rows.append(build(kind, parse(line)))
    except ValueError as error:
        raise damaged(path, error, f", line {number}") from error
    return rows


def damaged(path: Path, error: Exception, where: str = "") -> UvlpError:
    """Return the error for an artifact's file that does not have the format in which it was written."""
    reason = str(error)[:120]
    what = f"a file of an artifact is damaged{where}: {reason}"
    return UvlpError(what, got=str(path), fix="re-run the command that created it with --force")
