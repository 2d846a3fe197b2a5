"""`uvlp list`: names without importing what they name."""

from __future__ import annotations

import json

from uvlp.artifacts.store import Store
from uvlp.cli import table
from uvlp.core import plugins
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.plugins import Origin
from uvlp.declarations.protocol import declared_protocol
from uvlp.declarations.reading import docstring

LISTS = (*plugins.OPEN, "tables")


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
        found = _described(what)
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for name, text in found.items():
            print(f"{name:<18}  {text}")
    table.tell_damaged(broken)


def _networks() -> dict[str, str]:
    """What `--network` takes: families with a depth behind them, then the names of other protocols."""
    found = {f"{name}-DEPTH": text for name, text in _described("networks").items()}
    for protocol in plugins.names("protocols"):
        for name in declared_protocol(protocol).networks():
            found.setdefault(name, f"a network of --protocol {protocol}")
    return found


def _described(room: str) -> dict[str, str]:
    """By name the first line of a plug-in's file, and the package that it comes from if it is not ours."""
    return {name: _line(plugins.find(room, name)) for name in plugins.names(room)}


def _line(origin: Origin) -> str:
    if not origin.package:
        return docstring(origin)
    try:
        return f"{docstring(origin)} [{origin.package}]".strip()
    except UvlpError as error:  # of somebody else's: the others are listed all the same
        return str(error)
