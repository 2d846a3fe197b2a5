"""What a shell completes: datasets, methods, networks, settings, and what the store holds.

The shell starts the command for every press of the tab key, so nothing is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

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
    """Return the published tables, and those of the store; none is verified, which takes a while."""
    from uvlp.tables import published

    return _beginning([*published.TABLES, *_stored("tables", ctx)], incomplete)


def images(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the distilled images of the store, and its tables with `--results`."""
    kind = "tables" if ctx.params.get("results") else "distilled"
    return _beginning(_stored(kind, ctx), incomplete)


def artifacts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the tables of the store; after a slash, and with its digits, every artifact of a kind."""
    from uvlp.artifacts.checks import store_mark
    from uvlp.artifacts.checks.kinds import REQUIRED

    kind, slash, _ = incomplete.partition("/")
    if slash:
        found = store_mark.artifacts(_root(ctx), kind) if kind in REQUIRED else ()
        return _beginning((f"{kind}/{folder.name}" for folder in found), incomplete)
    kinds = [each for each in REQUIRED if (_root(ctx) / each).is_dir()]
    return _beginning([*_stored("tables", ctx), *(f"{each}/" for each in kinds)], incomplete)


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the runs of the store, the newest first."""
    from uvlp.pipeline.runs import files

    return _beginning(reversed(files.names(_root(ctx))), incomplete)


def images_to_score(incomplete: str) -> list[str]:
    """Return images of baselines once such a name is begun; folders are the shell's matter."""
    from uvlp.exchange import baselines

    names = (f"baseline:{name}" for name in baselines.entries())
    return _beginning(names, incomplete) if incomplete.startswith("base") else []


def baselines(incomplete: str) -> list[str]:
    """Return the names of repositories."""
    from uvlp.exchange import baselines

    return _beginning(baselines.entries(), incomplete)


def ipcs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the images per class of the dataset's published tables, and the usual ones."""
    from uvlp.tables import published

    dataset = published.canonical(str(ctx.params.get("dataset") or ""))
    found = {cell.ipc for cell in published.cells() if published.canonical(cell.dataset) == dataset}
    return _beginning(map(str, sorted({1, 10, 50} | {each for each in found if each})), incomplete)


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the settings of the run so far, with their values."""
    from uvlp.pipeline import names
    from uvlp.pipeline.requests import content
    from uvlp.pipeline.requests.resolve import resolve
    from uvlp.recipes.requests.request import Request

    given = {name: ctx.params.get(name) for name in ("methods", "profile", "protocol")}
    request = Request(
        dataset=ctx.params.get("dataset") or "digits",
        ipc=10,
        **{name: value for name, value in given.items() if value},
    )
    try:
        checked = names.check(resolve(request), None)
        values = content.flat(content.content(request, checked, "tabulate"))
        found = [f"{path}={_text(value)}" for path, value in values if "." in path]
    except UvlpError:
        return []
    return _beginning(found, incomplete)


def _text(value: object) -> str:
    """Return a value as `--set` takes it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _root(ctx: typer.Context) -> Path:
    from uvlp.core.files.paths import store_folder

    return store_folder(ctx.params.get("store")).absolute()


def _stored(kind: str, ctx: typer.Context) -> list[str]:
    """Return the names of the artifacts of a kind, each with digits of its key if several share it."""
    from uvlp.artifacts.checks import store_mark
    from uvlp.artifacts.task import read_manifest
    from uvlp.pipeline.folders.titles import set_name
    from uvlp.pipeline.stored_tables import KEY_DIGITS

    found = []
    for folder in store_mark.artifacts(_root(ctx), kind):
        try:
            content = read_manifest(folder)
            name = str(content["facts"]["name"]) if kind == "tables" else set_name(content)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
        found.append((name, folder.name[:KEY_DIGITS]))
    names = [name for name, _ in found]
    return sorted(f"{name}@{key}" if names.count(name) > 1 else name for name, key in found)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]
