"""`--print-config`: what a run uses of the resolved recipe, each setting with its description and source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from uvlp.artifacts.task import plain
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.names import Checked
from uvlp.pipeline.planning.contenders import prefix
from uvlp.pipeline.prepare import outline
from uvlp.recipes.schema import Recipe

OF_METHODS = ("synthesis", "method", "protocols")
"""Fields of a recipe that are merged into the settings of its methods and its protocol."""


def show(checked: Checked, until: str, as_json: bool) -> None:
    """Print the recipe and its sections that a run up to stage ``until`` uses, named as in `--set`."""
    own, sections = _own(checked.recipe), _sections(checked, until)
    if as_json:
        content = own | {name: plain(settings) for name, settings in sections.items()}
        print(json.dumps(content, indent=1, ensure_ascii=False))
        return
    for line in _lines(checked.recipe, ""):
        print(line)
    for name, settings in sections.items():
        for line in _lines(settings, f"{name}."):
            print(line)


def _own(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's own fields, without sections."""
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    return {
        name: plain(value)
        for name, value in values.items()
        if not is_dataclass(value) and name not in OF_METHODS
    }


def _sections(checked: Checked, until: str) -> dict[str, Any]:
    """Return the sections that tasks of the run use, those of its protocol, and those of its methods."""
    recipe, tasks = checked.recipe, outline(checked, until).tasks
    used = {type(task.settings) for task in tasks}
    found = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    if until in ("tabulate", "teacher"):
        protocol = declared_protocol(recipe.protocol)
        found |= {protocol.section: protocol.settings_in(recipe)}
        used |= {type(found[protocol.section])} | ({type(recipe.teacher)} if protocol.teacher else set())
    if any(task.published for task in tasks):
        used.add(type(recipe.models))
    for method in () if until == "teacher" else checked.methods:
        name = prefix(method.name) + method.spec
        found |= {name: method.settings, f"{name}.synthesis": method.synthesis}
    return {name: value for name, value in found.items() if is_dataclass(value) and type(value) in used}


def _lines(settings: Any, prefix: str) -> Iterator[str]:
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.metadata:
            text = f"{prefix}{field.name} = {json.dumps(plain(value), ensure_ascii=False)}"
            default = type(settings).__dataclass_fields__[field.name].default
            source = field.metadata["source"] if value == default else "recipe or command line"
            yield f"{text:<44}  # {field.metadata['help']} [{source}]"
