"""What a shell completes: names of datasets, methods, networks, tables and distilled images.

The shell starts the command for every press of the tab key, so nothing is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable

import typer

from uvlp.core.errors import UvlpError


def datasets(incomplete: str) -> list[str]:
    """Return the datasets that begin so."""
    from uvlp.core import plugins

    return _beginning(plugins.names("datasets"), incomplete)


def methods(incomplete: str) -> list[str]:
    """Return the methods, with variants after a colon, for the last of several names with commas."""
    from uvlp.core import plugins
    from uvlp.declarations.method import declared_method

    before, comma, last = incomplete.rpartition(",")
    name, colon, _ = last.partition(":")
    if not colon:
        return _beginning((f"{before}{comma}{each}" for each in plugins.names("methods")), incomplete)
    try:
        variants = declared_method(name).variants
    except UvlpError:
        return []
    return _beginning((f"{before}{comma}{name}:{each}" for each in variants), incomplete)


def networks(incomplete: str) -> list[str]:
    """Return the networks with their depths, for the last of several names with commas."""
    from uvlp.core import plugins
    from uvlp.declarations.network import declared_network
    from uvlp.pipeline import names

    before, comma, _ = incomplete.rpartition(",")
    known = [
        f"{family}-{depth}"
        for family in plugins.names("networks")
        for depth in declared_network(family).least_px
    ]
    known += [each for each in names.networks() if not each.endswith(("-DEPTH", "NAME"))]
    return _beginning((f"{before}{comma}{each}" for each in known), incomplete)


def tables(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the published tables, and those of the store."""
    from uvlp.pipeline import stored_tables
    from uvlp.pipeline.requests.resolve import store_at
    from uvlp.tables import published

    try:
        complete, _ = stored_tables.measured(store_at(ctx.params.get("store")))
    except UvlpError:
        complete = {}
    return _beginning([*published.TABLES, *(table.name for table in complete.values())], incomplete)


def images(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the distilled images of the store."""
    from uvlp.exchange.export_sets import distilled_sets
    from uvlp.pipeline.requests.resolve import store_at

    try:
        found = distilled_sets(store_at(ctx.params.get("store")))
    except UvlpError:
        return []
    return _beginning((each.name for each in found), incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]
