"""Requests from config files, and from what the manifests of artifacts record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from uvlp.artifacts import tables
from uvlp.artifacts.checks.kinds import REQUIRED
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST, read_manifest
from uvlp.core import plugins
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.files import toml_files
from uvlp.pipeline import names, stored_tables
from uvlp.pipeline.requests.content import OWN, VERSION, VERSION_KEY, content, flat
from uvlp.pipeline.requests.resolve import REMARKS, resolve, usual_recipe
from uvlp.recipes.requests.request import Request, override
from uvlp.recipes.schema import Recipe

OF_THE_RECIPE = ("dataset", "ipc", "profile")
"""Fields that choose the recipe whose values a config states."""
CHOSEN = ("methods", "networks", "seeds", "repeats", "protocol")
"""Fields of which a recipe has a value of its own."""
FORMER = "finetune.report_to"
"""A setting of earlier versions on which no result depended, in their configs and manifests."""


def read(path: Path) -> dict[str, Any]:
    """Return the content of a config file.

    Raises:
        UvlpError: it cannot be read, or was written by a newer version.
    """
    found = toml_files.read(path, "write one with --print-config --format toml")
    version = found.pop(VERSION_KEY, VERSION)
    if not isinstance(version, int) or version != VERSION:
        fix = "update UVLP, or write the file again with --print-config --format toml"
        raise UvlpError(f"{path}: a config of another version", got=version, allowed=str(VERSION), fix=fix)
    return found


def requested(where: str, found: Mapping[str, Any], given: Mapping[str, Any], until: str) -> Request:
    """Return the request of a config, with the options that override it.

    A value that is the usual one of the config's dataset, IPC and profile does not override that of another.

    Args:
        where: the file or artifact, for messages.
        found: its content.
        given: fields of a request that were given besides.
        until: the last stage of the run.

    Raises:
        UvlpError: an unknown key, or a value that cannot be used; names the file.
    """
    try:
        own, settings = _split(found)
        if "dataset" not in own:
            own["dataset"] = given.get("dataset")
        base = Request(**own, settings=settings)
        resolve(base)
    except UvlpError as error:
        what = f"{where}: {error.what}"
        raise type(error)(what, got=error.got, allowed=error.allowed, fix=error.fix) from error
    new = override(base, given)
    if any(getattr(base, name) != getattr(new, name) for name in OF_THE_RECIPE):
        new = override(_without_usual(base, until), given)
    return new


def _without_usual(base: Request, until: str) -> Request:
    """Return a request without what its dataset, IPC and profile say anyway."""
    usual = dict(flat(_content(replace(base, settings=()), until)))
    stated = tuple(each for each in base.changes if usual.get(each[0]) != each[1])
    recipe = usual_recipe(base)
    same: dict[str, Any] = dict.fromkeys(
        name for name in CHOSEN if getattr(base, name) == getattr(recipe, name)
    )
    return replace(base, settings=stated, **same)


def _split(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of a request and the settings that a config states."""
    own = {each.name for each in fields(Request)} - {"settings"}
    for name in found:
        if name not in own and not isinstance(found[name], Mapping) and name not in (*OWN, "note"):
            sections = [each.name for each in fields(Recipe) if each.name not in REMARKS]
            known = [*own, *sections, *plugins.names("methods")]
            raise unknown_name("key", name, known)
    settings = dict(flat({name: value for name, value in found.items() if name not in own}))
    settings.pop(FORMER, None)
    return {name: found[name] for name in own if name in found}, settings


def _content(request: Request, until: str) -> dict[str, Any]:
    methods = ("random",) if request.images else request.methods
    recipe = resolve(replace(request, methods=methods))
    return content(request, names.check(recipe), until)


def recorded(store: Store, name: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a stored artifact and the config of the run that made it.

    Args:
        store: the store.
        name: ``kind/key``, a key, or the name of a table.

    Raises:
        UvlpError: there is no such artifact, or its manifest lacks the config.
    """
    found = _find(store, name)
    made = _made(store, found)
    if "recipe" not in made:  # of the table that lists the score
        key = found.partition("/")[2]
        for table in stored_tables.measured(store)[0].values():
            if key in table.content.get("inputs", {}).values():
                made = table.content.get("made", {})
    if not isinstance(made.get("recipe"), dict):
        what = f"the manifest of {found} lacks made.recipe: an earlier version made it"
        raise UvlpError(
            what, fix="give the options of its run; `uvlp export` prints a line that scores images"
        )
    recipe = dict(made["recipe"])
    version = recipe.pop(VERSION_KEY, None)
    if version != VERSION:
        what = f"the manifest of {found} has a config of another version"
        raise UvlpError(what, got=version, allowed=str(VERSION), fix="update UVLP")
    return found, recipe


def _made(store: Store, name: str) -> dict[str, Any]:
    try:
        made = read_manifest(store.root / name).get("made")
    except (OSError, ValueError, RecursionError) as error:
        raise UvlpError(f"the manifest of {name} cannot be read", got=str(error)) from error
    return made if isinstance(made, dict) else {}


def _find(store: Store, name: str) -> str:
    """Return the ``kind/key`` of an artifact."""
    for each in (name, *(f"{kind}/{name}" for kind in REQUIRED)):
        kind, _, key = each.partition("/")
        if kind in REQUIRED and key.isalnum() and (store.root / each / MANIFEST).is_file():
            return each
    return f"{tables.KIND}/{stored_tables.find_run(name, store).key}"
