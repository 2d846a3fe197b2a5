"""Hashes of the default settings: a changed default changes results, so its plug-in's REVISION is raised."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from pathlib import Path

from uvlp.artifacts.task import plain
from uvlp.core import plugins
from uvlp.core.hashing import digest
from uvlp.declarations.method import declared_method
from uvlp.recipes import schema

FILE = Path(__file__).parent / "defaults.json"


def current() -> dict[str, str]:
    """Return a hash for every class of settings, and for every method with its REVISION."""
    classes = [each for each in vars(schema).values() if is_dataclass(each) and each is not schema.Recipe]
    stages = {each.__name__: plain(each()) for each in classes if isinstance(each, type)}
    methods = {}
    for name in plugins.names("methods"):
        method = declared_method(name)
        own = [method.settings(), method.synthesis, dict(method.profiles), method.revision]
        methods[f"method {name}"] = [plain(part) for part in own]
    return {name: digest(value)[:16] for name, value in sorted({**stages, **methods}.items())}


def read() -> dict[str, str]:
    """Read the committed hashes."""
    content: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


def write() -> None:
    """Write the hashes, one line each."""
    FILE.write_text(json.dumps(current(), indent=1) + "\n", encoding="utf-8")
