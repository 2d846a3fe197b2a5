"""`--print-config`: what a run uses of the resolved recipe, each setting with its description and source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from uvlp.artifacts.task import plain
from uvlp.cli.launching import SECTION
from uvlp.cli.printing import screen
from uvlp.core.errors import unknown_name
from uvlp.declarations.launcher import HERE, LOCAL, Launcher
from uvlp.pipeline.names import Checked
from uvlp.pipeline.planning.contenders import prefix, resolve_method
from uvlp.pipeline.requests.content import content, sections
from uvlp.recipes.requests.request import Request
from uvlp.recipes.schema import Recipe

OF_METHODS = ("synthesis", "method", "protocols")
"""Fields of a recipe that are merged into the settings of its methods and its protocol."""
FORMATS = ("text", "toml")


def check_format(form: str) -> None:
    """Refuse an unknown format.

    Raises:
        UvlpError: there is no such format.
    """
    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)


def show(
    request: Request,
    checked: Checked,
    until: str,
    *,
    form: str,
    as_json: bool,
    launcher: Launcher = HERE,
) -> None:
    """Print the recipe and its sections that a run up to stage ``until`` uses, named as in `--set`."""
    if form == "toml":
        print(toml(content(request, checked, until), checked, until, launcher), end="")
        return
    own, found = _own(checked.recipe), _sections(checked, until)
    if launcher.name != LOCAL:
        found |= {SECTION: launcher.settings}
    if as_json:
        values = own | {name: plain(settings) for name, settings in found.items()}
        print(json.dumps(values, indent=1, ensure_ascii=False))
        return
    rows = [*_rows(checked.recipe, "")]
    for name, settings in found.items():
        rows += _rows(settings, f"{name}.")
    for value, text in rows:
        screen.show_columns([(f"{value:<44}", text)])


def toml(values: Mapping[str, Any], checked: Checked, until: str, launcher: Launcher = HERE) -> str:
    """Return a config as a TOML file, with the description of every setting."""
    import tomlkit

    document = tomlkit.document()
    document.add(
        tomlkit.comment("read by --config; options override it, `uvlp explain` says what methods do")
    )
    described = {name: type(value) for name, value in sections(checked, until)[0].items()} | {"": Recipe}
    for method in checked.methods:
        base = resolve_method(method.name, checked.recipe)
        section = prefix(method.name) + method.name
        described |= {section: type(base.settings), f"{section}.synthesis": type(base.synthesis)}
    if launcher.name != LOCAL:
        values = {**values, SECTION: {"launcher": launcher.name, **plain(launcher.settings)}}
        described[SECTION] = type(launcher.settings)
    _fill(document, values, "", described)
    return tomlkit.dumps(document)


def _fill(table: Any, values: Mapping[str, Any], path: str, described: Mapping[str, Any]) -> None:
    """Write values into a table, its sub-tables last."""
    import tomlkit

    known = getattr(described.get(path), "__dataclass_fields__", {})
    for name, value in values.items():
        if isinstance(value, Mapping):
            part = tomlkit.table()
            _fill(part, value, f"{path}.{name}".removeprefix("."), described)
            table.add(name, part)
            continue
        item = tomlkit.item(value)
        if name in known and known[name].metadata:
            item.comment(known[name].metadata["help"])
        table.add(name, item)


def _own(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's own fields, without sections."""
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    return {
        name: plain(value)
        for name, value in values.items()
        if not is_dataclass(value) and name not in OF_METHODS
    }


def _sections(checked: Checked, until: str) -> dict[str, Any]:
    """Return the sections that the run uses, and those of its methods with their variants."""
    found, used = sections(checked, until)
    for method in () if until == "teacher" else checked.methods:
        name = prefix(method.name) + method.spec
        own = {name: method.settings, f"{name}.synthesis": method.synthesis}
        found |= {each: value for each, value in own.items() if type(value) in used}
    return found


def _rows(settings: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield each setting with its value, and what it means."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.metadata:
            text = f"{prefix}{field.name} = {json.dumps(plain(value), ensure_ascii=False)}"
            default = type(settings).__dataclass_fields__[field.name].default
            source = field.metadata["source"] if value == default else "recipe or command line"
            yield text, f"# {field.metadata['help']} [{source}]"
