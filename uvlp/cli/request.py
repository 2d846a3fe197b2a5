"""The request and the execution that the options of a command describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import typer

from uvlp.cli import launching
from uvlp.cli.options import Options
from uvlp.cli.printing import usage
from uvlp.cli.run import Execution
from uvlp.core.errors import UvlpError
from uvlp.core.files.paths import expand_home
from uvlp.pipeline.requests import config
from uvlp.pipeline.requests.resolve import store_at
from uvlp.recipes.requests.request import Request

COMMANDS = {"images": "uvlp evaluate", "ablated": "uvlp ablate"}
"""Commands by the fields that only they use."""


def request_of(
    context: typer.Context, options: Options, until: str, needed: Mapping[str, str], own: Mapping[str, Any]
) -> Request:
    """Return the request of a command's options and arguments, which override a config or a stored recipe.

    Args:
        context: of the command.
        options: its shared options.
        until: its last stage.
        needed: parameters without which there is no request, by the field that they fill.
        own: its arguments, by the fields that they fill.

    Raises:
        UvlpError: see `Request` and `config.requested`; an argument is missing.
    """
    found = given({**options, **own})
    file, source = options.get("config"), options.get("source")
    if file is not None and source is not None:
        raise UvlpError("--config with --from", got=source, fix="give one of them")
    content: dict[str, Any] = {}
    where = ""
    if file is not None:
        where, content = str(file), config.read(expand_home(file))
        content.pop(launching.SECTION, None)
    elif source is not None:
        where, content = config.recorded(store_at(options["store"]), source)
    counted = "images" in content  # of which each class has some number
    for name, parameter in needed.items():
        if name not in found and name not in content and not (name == "ipc" and counted):
            raise usage.missing(context, parameter)
    unused = [name for name in COMMANDS if name in content and name not in needed]
    if unused and source is None:
        fix = f"run it with `{COMMANDS[unused[0]]} --config`"
        raise UvlpError(f"{where}: {unused[0]} is for another command", got=content[unused[0]], fix=fix)
    return config.requested(where, content, found, until) if content else Request(**found)


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that were given; those that equal their defaults were not."""
    usual = {each.name: each.default for each in fields(Request)}
    return {
        name: value
        for name, value in values.items()
        if name in usual and value is not None and value != usual[name] and value != []
    }


def execution_of(options: Options, **own: Any) -> Execution:
    """Return how a command's options say that a request is carried out.

    Raises:
        UvlpError: a format without something to format.
    """
    form = options.get("form")
    if form is not None and (not options["print_config"] or options["as_json"]):
        raise UvlpError("--format is for --print-config without --json", got=form, fix="leave one out")
    names = {each.name for each in fields(Execution)}
    values = {**options, "form": form or "text", **own}
    return Execution(**{name: value for name, value in values.items() if name in names})
