"""`uvlp list`: names without importing what they name."""

from __future__ import annotations

import ast
import json

from uvlp.artifacts import tables
from uvlp.artifacts.store import Store
from uvlp.commands import table
from uvlp.core import plugins
from uvlp.core.errors import unknown_name

ROOMS = ("methods", "datasets", "networks", "tables")


def show(what: str, store: Store, as_json: bool) -> None:
    """Print the plug-ins of a room with the first line of their files, or the store's tables.

    Raises:
        UvlpError: there is no such room.
    """
    if what not in ROOMS:
        raise unknown_name("list", what, ROOMS)
    found = _tables(store) if what == "tables" else {n: _first_line(what, n) for n in plugins.names(what)}
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    for name, text in found.items():
        print(f"{name:<12}  {text}")


def _tables(store: Store) -> dict[str, str]:
    return {name: tables.read(folder).caption for name, folder in table.measured(store).items()}


def _first_line(room: str, name: str) -> str:
    path = plugins.PACKAGE / room / f"{name.replace('-', '_')}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0]
