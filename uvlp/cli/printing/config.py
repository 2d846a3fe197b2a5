"""`--print-config`: the resolved recipe, each setting with its description and source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from uvlp.artifacts.task import plain
from uvlp.pipeline.names import Checked
from uvlp.pipeline.planning.contenders import prefix


def show(checked: Checked, as_json: bool) -> None:
    """Print the recipe and the settings of its methods, with the names that `--set` accepts."""
    if as_json:
        print(json.dumps(plain(checked.recipe), indent=1, ensure_ascii=False))
        return
    for line in _lines(checked.recipe, ""):
        print(line)
    for method in checked.methods:
        shown = prefix(method.name) + method.spec
        for line in _lines(method.settings, f"{shown}."):
            print(line)
        if method.synthesis is not None:
            for line in _lines(method.synthesis, f"{shown}.synthesis."):
                print(line)


def _lines(settings: Any, prefix: str) -> Iterator[str]:
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            yield from _lines(value, f"{prefix}{field.name}.")
        elif field.metadata:
            text = f"{prefix}{field.name} = {json.dumps(plain(value), ensure_ascii=False)}"
            default = type(settings).__dataclass_fields__[field.name].default
            source = field.metadata["source"] if value == default else "recipe or command line"
            yield f"{text:<44}  # {field.metadata['help']} [{source}]"
