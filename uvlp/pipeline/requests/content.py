"""What a run uses of its resolved recipe: printed by `--print-config`, recorded in manifests, read again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from uvlp.artifacts.task import plain
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.names import Checked
from uvlp.pipeline.planning.contenders import prefix, resolve_method
from uvlp.pipeline.prepare import outline
from uvlp.pipeline.requests.resolve import usual_recipe
from uvlp.recipes.requests.request import Request

VERSION = 1
"""Of the form of a config."""
VERSION_KEY = "config_version"
READING = ("layout", "normalised", "label_kind", "temperature")
"""Fields that say how a file of tensors is read."""
OWN = ("models_seed", "image_px")
"""Settings of a recipe that belong to no section."""


def sections(checked: Checked, until: str) -> tuple[dict[str, Any], set[type]]:
    """Return the sections that tasks of a run up to a stage use, and those of its protocol, by name.

    The types of all settings in use are returned too, for the sections of methods.
    """
    recipe, tasks = checked.recipe, outline(checked, until).tasks
    used = {type(task.settings) for task in tasks if task.settings is not None}
    found = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    if until in ("tabulate", "teacher"):
        protocol = declared_protocol(recipe.protocol)
        found |= {protocol.section: protocol.settings_in(recipe)}
        used |= {type(found[protocol.section])} | ({type(recipe.teacher)} if protocol.teacher else set())
    if any(task.published for task in tasks):
        used.add(type(recipe.models))
    return {name: value for name, value in found.items() if is_dataclass(value) and type(value) in used}, used


def content(request: Request, checked: Checked, until: str) -> dict[str, Any]:
    """Return a config of plain values: fields of a request, then a table per section that the run uses.

    Args:
        request: what was asked for; the folders to score, and what to ablate.
        checked: its recipe.
        until: the last stage.
    """
    recipe, usual = checked.recipe, usual_recipe(request)
    top: dict[str, Any] = {VERSION_KEY: VERSION, "dataset": recipe.dataset}
    if request.ipc is not None:
        top["ipc"] = recipe.ipc
    top["profile"] = recipe.profile
    if request.images:
        top |= {"images": request.images, "select": request.select}
        top |= {"random_images": request.random_images}
        stated = {name: getattr(request, name) for name in READING}
        top |= {name: value for name, value in stated.items() if value is not None}
    elif request.ablated is not None:
        top |= {"ablated": request.ablated, "pairs": request.pairs}
    elif until != "teacher":
        top["methods"] = recipe.methods
    top |= {"networks": recipe.networks, "seeds": recipe.seeds, "repeats": recipe.repeats}
    top |= {"protocol": recipe.protocol, "portable": recipe.portable}
    given = {"data": recipe.data, "variant": recipe.variant, "finetuned_model": recipe.models.finetuned}
    given["note"] = recipe.note.removeprefix(usual.note).removeprefix("; ")
    top |= {name: value for name, value in given.items() if value}
    top |= {name: getattr(recipe, name) for name in OWN}
    found, used = sections(checked, until)
    tables = {name: plain(value) for name, value in found.items()}
    tables.get("models", {}).pop("finetuned", None)
    for name in dict.fromkeys(method.name for method in checked.methods if until != "teacher"):
        method = resolve_method(name, recipe)  # the variants stand in the list of methods
        table = plain(method.settings) if type(method.settings) in used else {}
        table |= {"synthesis": plain(method.synthesis)} if type(method.synthesis) in used else {}
        if table and prefix(name):
            tables.setdefault("method", {})[name] = table
        elif table:
            tables[name] = table
    result: dict[str, Any] = plain(top)
    return result | tables


def flat(tables: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested tables with their dotted paths, as of `--set`."""
    for name, value in tables.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{parent}{name}.")
        else:
            yield f"{parent}{name}", value
