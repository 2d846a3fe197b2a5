"""Fields of a published model's configuration, each refused where it says another architecture."""

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
"""Of a size or a count; beyond it no model is, and a list of its tensors would fill the memory."""
MOST_LEVELS = 32
BUFFERS = (*COUNTERS, "inv_freq")
"""Names of what old versions of the libraries saved beside the weights, and compute anew."""

Config = Mapping[str, Any]
Shape = tuple[int, ...]
ANY: Shape = (-1,)
"""Of a tensor that is brought into its shape when it is loaded."""


def read_config(path: Path) -> Config:
    """The JSON object in ``path``.

    Raises:
        UvlpError: there is none.
    """
    try:
        check_text(path, "configuration", LONGEST_CONFIGURATION_BYTES)
        value = json_files.parse(path.read_bytes())
    except (OSError, ValueError) as error:
        value = error
    if not isinstance(value, dict):
        raise UvlpError("a configuration cannot be read as JSON", got=str(path), fix="get the file again")
    return value


def part_of(config: Config, name: str) -> Config:
    """A part of a configuration; an empty one where it is missing or no object."""
    part = config.get(name)
    return part if isinstance(part, dict) else {}


def other(title: str, path: Path, field: str, got: object, allowed: object, known: str = "") -> UvlpError:
    """The checkpoint is of another architecture: ``field`` of ``path`` says so."""
    what = f"this is {known}, not {title}" if known else f"this is not {title}"
    return UvlpError(f"{what} ({path}, {field})", got=got, allowed=str(allowed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The configuration ``config`` of ``path``, which is to be that of ``title``."""

    title: str
    path: Path
    config: Config

    def refuse(self, field: str, got: object, allowed: object, known: str = "") -> UvlpError:
        """The error for a field that has another value."""
        return other(self.title, self.path, field, got, allowed, known)

    def whole(self, field: str, default: int, most: int = LARGEST) -> int:
        """A whole number from 1 on.

        Raises:
            UvlpError: it is none.
        """
        value = self.config.get(field, default)
        if type(value) is not int or not 1 <= value <= most:
            raise self.refuse(field, value, f"a whole number from 1 to {most}")
        return value

    def several(self, field: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Whole numbers from 1 on, one per level.

        Raises:
            UvlpError: there are none, or something else.
        """
        values = self.config.get(field, default)
        good = isinstance(values, list | tuple) and 1 <= len(values) <= MOST_LEVELS
        if not good or any(type(each) is not int or not 1 <= each <= LARGEST for each in values):
            raise self.refuse(field, values, f"1 to {MOST_LEVELS} whole numbers from 1 to {LARGEST}")
        return tuple(values)

    def names(self, field: str, default: tuple[str, ...], known: tuple[str, ...], count: int) -> list[str]:
        """``count`` of the ``known`` names.

        Raises:
            UvlpError: another number of names, or others.
        """
        values = self.config.get(field, default)
        good = isinstance(values, list | tuple) and len(values) == count
        if not good or any(each not in known for each in values):
            raise self.refuse(field, values, f"{count} of {' and '.join(known)}")
        return list(values)

    def positive(self, field: str, default: float) -> float:
        """A finite number above 0.

        Raises:
            UvlpError: it is none.
        """
        value = self.config.get(field, default)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            raise self.refuse(field, value, "a finite number above 0")
        return float(value)

    def only(self, usual: Config, known: str = "") -> None:
        """Each field of ``usual`` has the value there, or is null or missing.

        Raises:
            UvlpError: the first one that has another.
        """
        for field, value in usual.items():
            found = self.config.get(field)
            if found is not None and found != value:
                raise self.refuse(field, found, "null" if value is None else value, known)


def compare(fields: Fields, found: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> None:
    """Every tensor of the configuration must be there, in its shape, and no other.

    The libraries draw one that is missing at random, or say so when they load it; some ignore one too many.

    Raises:
        UvlpError: the first difference.
    """
    lacking = [name for name in wanted if name not in found]
    foreign = [name for name in found if name not in wanted and not name.endswith(BUFFERS)]
    shaped = [name for name in found if wanted.get(name, ANY) not in (found[name], ANY)]
    if lacking:
        got, allowed = f"no {first_few(lacking)}", f"{len(wanted)} tensors"
    elif foreign:
        got, allowed = f"also {first_few(foreign)}", f"{len(wanted)} tensors"
    elif shaped:
        got, allowed = f"{shaped[0]} {found[shaped[0]]}", str(wanted[shaped[0]])
    else:
        return
    raise fields.refuse("its weights", got, allowed)
