"""Read and check the fields of a published model's configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.foreign_files import LONGEST_CONFIGURATION_BYTES, check_text
from uvlp.core.files.safetensors_file import COUNTERS
from uvlp.core.wording import first_few

LARGEST = 2**20
"""Limit of sizes and counts; no model exceeds it, and a list of its tensors would not fit into memory."""
MOST_LEVELS = 32
BUFFERS = (*COUNTERS, "inv_freq")
"""Names of buffers that old versions of the libraries saved with the weights, and current ones recompute."""

Config = Mapping[str, Any]
Shape = tuple[int, ...]
ANY: Shape = (-1,)
"""Shape of a tensor that is reshaped when it is loaded."""


def read_config(path: Path) -> Config:
    """Read the JSON object in ``path``.

    Raises:
        UvlpError: it cannot be read.
    """
    try:
        check_text(path, "configuration", LONGEST_CONFIGURATION_BYTES)
        value = json_files.parse(path.read_bytes())
    except (OSError, ValueError) as error:
        value = error
    if not isinstance(value, dict):
        fix = "copy or download the file again"
        raise UvlpError("a configuration cannot be read as JSON", got=str(path), fix=fix)
    return value


def part_of(config: Config, name: str) -> Config:
    """Return a part of a configuration; empty if it is missing or not an object."""
    part = config.get(name)
    return part if isinstance(part, dict) else {}


def other(title: str, path: Path, field: str, got: object, allowed: object, known: str = "") -> UvlpError:
    """Return the error for a checkpoint of another architecture, by ``field`` of ``path``."""
    what = f"this is {known}, not {title}" if known else f"this is not {title}"
    return UvlpError(f"{what} ({path}, {field})", got=got, allowed=str(allowed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The configuration ``config`` of ``path``, which should be that of ``title``."""

    title: str
    path: Path
    config: Config

    def refuse(self, field: str, got: object, allowed: object, known: str = "") -> UvlpError:
        """Return the error for a field with another value."""
        return other(self.title, self.path, field, got, allowed, known)

    def integer(self, field: str, default: int, most: int = LARGEST) -> int:
        """Return a positive integer.

        Raises:
            UvlpError: the value is something else.
        """
        value = self.config.get(field, default)
        if type(value) is not int or not 1 <= value <= most:
            raise self.refuse(field, value, f"an integer from 1 to {most}")
        return value

    def integers(self, field: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return positive integers, one per level.

        Raises:
            UvlpError: the list is empty, or contains something else.
        """
        values = self.config.get(field, default)
        good = isinstance(values, list | tuple) and 1 <= len(values) <= MOST_LEVELS
        if not good or any(type(each) is not int or not 1 <= each <= LARGEST for each in values):
            raise self.refuse(field, values, f"1 to {MOST_LEVELS} integers from 1 to {LARGEST}")
        return tuple(values)

    def names(self, field: str, default: tuple[str, ...], known: tuple[str, ...], count: int) -> list[str]:
        """Return ``count`` of the ``known`` names.

        Raises:
            UvlpError: another number of names, or unknown names.
        """
        values = self.config.get(field, default)
        good = isinstance(values, list | tuple) and len(values) == count
        if not good or any(each not in known for each in values):
            raise self.refuse(field, values, f"{count} of {' and '.join(known)}")
        return list(values)

    def positive(self, field: str, default: float) -> float:
        """Return a positive, finite number.

        Raises:
            UvlpError: the value is something else.
        """
        value = self.config.get(field, default)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            raise self.refuse(field, value, "a finite number above 0")
        return float(value)

    def only(self, expected: Config, known: str = "") -> None:
        """Check that each field of ``expected`` has this value, or is null or missing.

        Raises:
            UvlpError: the first field with another value.
        """
        for field, value in expected.items():
            actual = self.config.get(field)
            if actual is not None and actual != value:
                raise self.refuse(field, actual, "null" if value is None else value, known)


def compare(fields: Fields, actual: Mapping[str, Shape], expected: Mapping[str, Shape]) -> None:
    """Check that the weights have exactly the tensors of the configuration, with their shapes.

    The libraries initialise a missing tensor at random or fail on loading; some ignore additional tensors.

    Raises:
        UvlpError: the first difference.
    """
    missing = [name for name in expected if name not in actual]
    unexpected = [name for name in actual if name not in expected and not name.endswith(BUFFERS)]
    shaped = [name for name in actual if expected.get(name, ANY) not in (actual[name], ANY)]
    if missing:
        got, allowed = f"no {first_few(missing)}", f"{len(expected)} tensors"
    elif unexpected:
        got, allowed = f"also {first_few(unexpected)}", f"{len(expected)} tensors"
    elif shaped:
        got, allowed = f"{shaped[0]} {actual[shaped[0]]}", str(expected[shaped[0]])
    else:
        return
    raise fields.refuse("its weights", got, allowed)
