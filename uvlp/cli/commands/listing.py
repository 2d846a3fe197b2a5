"""`uvlp list`: the names that other commands accept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from uvlp.cli.options import Options, argument, takes
from uvlp.cli.printing import screen
from uvlp.core.errors import UvlpError, unknown_name

if TYPE_CHECKING:
    from uvlp.core.plugins import Origin

LISTS = ("methods", "datasets", "networks", "protocols", "captioners", "launchers", "tables", "images")
WhatArgument = Annotated[
    str,
    argument(
        metavar="LIST",
        help="methods, datasets, networks, protocols, captioners, launchers, tables or images",
    ),
]


@takes("store", "as_json", "debug")
def list_names(what: WhatArgument, options: Options) -> None:
    """List the names that other commands accept.

    Example: uvlp list methods
    """
    if what not in LISTS:
        raise unknown_name("list", what, LISTS)
    match what:
        case "tables":
            texts = _tables(options["store"])
        case "images":
            texts = _images(options["store"])
        case "networks":
            texts = _networks()
        case "methods":
            texts = _methods()
        case _:
            texts = _described(what)
    if options["as_json"]:
        print(json.dumps(texts, indent=1, ensure_ascii=False))
    else:
        screen.show_columns(list(texts.items()))


def _tables(store: str | None) -> dict[str, str]:
    """Tables by name with key, methods and date; a line on standard error for each that cannot be shown."""
    from uvlp.core.display import messages
    from uvlp.pipeline import stored_tables
    from uvlp.pipeline.requests.resolve import store_at
    from uvlp.tables import published

    complete, broken = stored_tables.measured(store_at(store))
    for damaged in broken:
        messages.note(f"skipped: {stored_tables.damaged(damaged)}")
    listed = {}
    for name in published.TABLES:
        cells = published.table(name)
        methods = dict.fromkeys(published.title(cell.method) for cell in cells)
        listed[name] = f"published  {', '.join(methods)}; {published.title(cells[0].source)}"
    for name, table in complete.items():
        date = str(table.content["made"].get("at", ""))[:10]
        text = f"{table.key[: stored_tables.KEY_DIGITS]:<9}  {', '.join(table.methods)}; {date}"
        listed[f"{name} (--measured)" if name in listed else name] = text
    return listed


def _images(store: str | None) -> dict[str, str]:
    """Return the distilled sets of a store by full name, with dataset, images per class and date."""
    from uvlp.exchange.export_sets import distilled_sets
    from uvlp.pipeline.requests.resolve import store_at

    found = distilled_sets(store_at(store))
    dates = {one.full_name: str(one.content.get("made", {}).get("at", ""))[:10] for one in found}
    return {one.full_name: f"{one.about}; {dates[one.full_name]}" for one in found}


def _networks() -> dict[str, str]:
    """Return what `--network` accepts: families with a depth, then the networks of other protocols."""
    from uvlp.pipeline import names

    texts = {f"{name}-DEPTH": text for name, text in _described("networks").items()}
    for name, protocol in names.networks().items():
        of_timm = name.startswith("timm:")
        text = "any network of timm, untrained" if of_timm else f"a network of --protocol {protocol}"
        texts.setdefault(name, text)
    return texts


def _methods() -> dict[str, str]:
    """Return the methods, each followed by its variants."""
    from uvlp.declarations.method import declared_method

    texts = {}
    for name, text in _described("methods").items():
        texts[name] = text
        try:
            variants = declared_method(name).variants
        except UvlpError:  # as for its text: a broken plug-in must not hide the rest
            continue
        texts |= {f"{name}:{variant}": each.text for variant, each in variants.items()}
    return texts


def _described(group: str) -> dict[str, str]:
    """Return the first docstring line of each plug-in by name, with its package if it is not built in."""
    from uvlp.core import plugins

    return {name: _line(plugins.find(group, name)) for name in plugins.names(group)}


def _line(origin: Origin) -> str:
    from uvlp.declarations.reading import docstring

    if not origin.package:
        return docstring(origin)
    try:
        return f"{docstring(origin)} [{origin.package}]".strip()
    except UvlpError as error:  # a broken plug-in of another package must not hide the rest
        return str(error)
