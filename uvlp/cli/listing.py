"""`uvlp list`: names without importing what they name."""

from __future__ import annotations

import ast
import json

from uvlp.artifacts.store import Store
from uvlp.cli import table
from uvlp.core import plugins
from uvlp.core.errors import unknown_name

ROOMS = {"methods": "methods", "datasets": "datasets", "protocols": "protocols"}
LISTS = (*ROOMS, "networks", "tables")


def show(what: str, store: Store, as_json: bool) -> None:
    """Print the plug-ins of a room with the first line of their files, or the store's tables.

    Raises:
        UvlpError: there is no such room.
    """
    if what not in LISTS:
        raise unknown_name("list", what, LISTS)
    broken: list[table.Stored] = []
    if what == "tables":
        whole, broken = table.measured(store)
        found = {name: one.caption for name, one in whole.items()}
    elif what == "networks":
        found = _networks()
    else:
        found = {name: _first_line(ROOMS[what], name) for name in plugins.names(ROOMS[what])}
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for name, text in found.items():
            print(f"{name:<18}  {text}")
    table.tell_damaged(broken)


def _networks() -> dict[str, str]:
    """What `--network` takes: families with a depth behind them, then the names of other protocols."""
    found = {f"{name}-DEPTH": _first_line("networks", name) for name in plugins.names("networks")}
    for protocol in plugins.names("protocols"):
        for name in plugins.load("protocols", protocol).networks():
            found.setdefault(name, f"a network of --protocol {protocol}")
    return found


def _first_line(room: str, name: str) -> str:
    path = plugins.PACKAGE / room / f"{name.replace('-', '_')}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0]
