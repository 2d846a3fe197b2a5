"""Inconsistencies inside an artifact whose files all have the hashes of its manifest."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uvlp.artifacts import features, pixels, prototypes, scores, tables, teachers, weights
from uvlp.core.errors import UvlpError
from uvlp.core.files import safetensors_file

FLOATS = ("<f4", "<f2")
ARRAYS = {pixels.PIXELS: ("|u1",), pixels.LABELS: ("<i8",)}
"""Dtypes of arrays that are not floating-point, by file."""


def contradiction(folder: Path, content: Mapping[str, Any]) -> str | None:
    """Return the inconsistent file and the reason; None if there is none."""
    check = CHECKS.get(content["kind"])
    if check is None:
        return None
    try:
        return check(folder, content)
    except UvlpError as error:
        return error.what
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, SyntaxError):
        return "a file that does not have the format of its kind"


def _of_score(folder: Path, _: Mapping[str, Any]) -> str | None:
    wrong = scores.contradiction(scores.read(folder))
    return f"{scores.FILE} ({wrong})" if wrong else None


def _of_table(folder: Path, content: Mapping[str, Any]) -> str | None:
    table = tables.read(folder)
    if (table.name, table.caption) != (content["facts"]["name"], content["facts"]["caption"]):
        return "table.json (it belongs to another table)"
    for cell in table.cells:
        wrong = tables.contradiction(cell, lambda name: _score(folder.parent.parent / name))
        if wrong:
            return f"table.json ({wrong})"
    return None


def _score(folder: Path) -> scores.Score | None:
    """Return a score; None if it no longer exists."""
    with contextlib.suppress(FileNotFoundError):
        return scores.read(folder)
    return None


def _of_weights(folder: Path, content: Mapping[str, Any]) -> str | None:
    for name in content["files"]:
        if name.endswith(".safetensors"):
            safetensors_file.check(folder / name, "rebuild it", floats=True)
    return None


def _of_arrays(folder: Path, content: Mapping[str, Any]) -> str | None:
    for name in content["files"]:
        wanted = ARRAYS.get(name, FLOATS)
        if name.endswith(".npy") and (dtype := _dtype(folder / name)) not in wanted:
            return f"{name} (dtype {dtype} instead of {' or '.join(wanted)})"
    return None


def _dtype(path: Path) -> str:
    """Return the dtype in the header of a `.npy` file, without numpy."""
    with path.open("rb") as file:
        version = file.read(8)[6]
        length = int.from_bytes(file.read(2 if version == 1 else 4), "little")
        return str(ast.literal_eval(file.read(length).decode("latin1"))["descr"])


CHECKS: Mapping[str, Callable[[Path, Mapping[str, Any]], str | None]] = {
    scores.KIND: _of_score,
    tables.KIND: _of_table,
    weights.KIND: _of_weights,
    teachers.KIND: _of_weights,
    features.KIND: _of_arrays,
    prototypes.KIND: _of_arrays,
    pixels.KIND: _of_arrays,
}
