"""The only dynamic imports: list the files of a room, load one by its name.

File name = name on the command line (``-`` for ``_``) = row of a table; adding a plug-in is
adding a file.
"""

from __future__ import annotations

import ast
import importlib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from uvlp.core.errors import unknown_name

PACKAGE = Path(__file__).resolve().parent.parent
SINGULAR = {
    "methods": "method",
    "datasets": "dataset",
    "networks": "network",
    "protocols": "protocol",
    "stages": "stage",
    "models": "model",
    "models/finetuning": "model",
    "models/sampling": "model",
    "protocols/training": "model",
    "captioners": "captioner",
}


def names(room: str) -> list[str]:
    """Names of the plug-ins in ``uvlp/<room>``, without importing any of them."""
    files = (PACKAGE / room).glob("*.py")
    return sorted(file.stem.replace("_", "-") for file in files if not file.stem.startswith("_"))


def load(room: str, name: str) -> ModuleType:
    """Import one plug-in; ``-`` and ``_`` are the same.

    Raises:
        UvlpError: there is no such plug-in; the nearest name is offered.
    """
    known = names(room)
    wanted = name.replace("_", "-")
    if wanted not in known:
        raise unknown_name(SINGULAR[room], name, known)
    return importlib.import_module(f"uvlp.{room.replace('/', '.')}.{wanted.replace('-', '_')}")


def revision(path: str) -> int:
    """`REVISION` in ``uvlp/<path>.py``, read from the source so that no model library is imported."""
    number = constant(path, "REVISION")
    assert isinstance(number, int), f"REVISION of {path}"
    return number


@cache
def constant(path: str, name: str) -> Any:
    """The literal that ``uvlp/<path>.py`` assigns to ``name``, read from the source as `revision` is."""
    source = (PACKAGE / f"{path.replace('-', '_')}.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                return ast.literal_eval(value)
    raise AssertionError(f"{path} declares no {name}")
