"""`uvlp list`: the names that the other commands take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli.options import WHAT, DebugOption, JsonOption, StoreOption
from uvlp.core.errors import UvlpError, unknown_name

if TYPE_CHECKING:
    from uvlp.core.plugins import Origin

LISTS = ("methods", "datasets", "networks", "protocols", "captioners", "tables")
WhatArgument = Annotated[
    str,
    typer.Argument(
        metavar="LIST",
        help="methods, datasets, networks, protocols, captioners or tables",
        rich_help_panel=WHAT,
    ),
]


def list_names(
    what: WhatArgument, store: StoreOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """List what there is, by the names that the other commands take.

    Example: uvlp list methods
    """
    if what not in LISTS:
        raise unknown_name("list", what, LISTS)
    match what:
        case "tables":
            found = _tables(store)
        case "networks":
            found = _networks()
        case _:
            found = _described(what)
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for name, text in found.items():
            print(f"{name:<18}  {text}")


def _tables(store: str | None) -> dict[str, str]:
    """Tables by name with their captions; a line on standard error for each that cannot be shown."""
    from uvlp.cli.request import store_at
    from uvlp.core import streams
    from uvlp.pipeline import stored_tables

    complete, broken = stored_tables.measured(store_at(store))
    for one in broken:
        streams.complain(f"note   left out: {stored_tables.damaged(one)}")
    return {name: one.caption for name, one in complete.items()}


def _networks() -> dict[str, str]:
    """What `--network` takes: families with a depth behind them, then the names of other protocols."""
    from uvlp.pipeline import names

    found = {f"{name}-DEPTH": text for name, text in _described("networks").items()}
    for name, protocol in names.networks().items():
        found.setdefault(name, f"a network of --protocol {protocol}")
    return found


def _described(room: str) -> dict[str, str]:
    """By name the first line of a plug-in's file, and the package that it comes from if it is not ours."""
    from uvlp.core import plugins

    return {name: _line(plugins.find(room, name)) for name in plugins.names(room)}


def _line(origin: Origin) -> str:
    from uvlp.declarations.reading import docstring

    if not origin.package:
        return docstring(origin)
    try:
        return f"{docstring(origin)} [{origin.package}]".strip()
    except UvlpError as error:  # of somebody else's: the others are listed all the same
        return str(error)
