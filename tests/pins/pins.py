"""The pinned hash of every plug-in's closure, and what to do when one has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.pins import roots
from tests.pins.closure import Closure, Reader
from tests.pins.roots import Plugin
from tests.pins.sources import Definition, Package

PACKAGE = Path(__file__).resolve().parent.parent.parent / "uvlp"
FILE = Path(__file__).parent / "pins.json"
COMMAND = ".venv/bin/python -m tests.pins"


@dataclass(frozen=True)
class Pins:
    """What is pinned.

    Attributes:
        plugins: REVISION and hash of the closure, by plug-in.
        definitions: short hashes of all trees and data files, by name: they tell what has changed.
    """

    plugins: Mapping[str, tuple[int, str]]
    definitions: Mapping[str, tuple[str, ...]]

    def to_json(self) -> str:
        """One line per plug-in and definition, so that two changes seldom meet in one line."""
        parts = {"plugins": self.plugins, "definitions": self.definitions}
        lines = [
            f" {json.dumps(part)}: {{\n"
            + ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(rows.items()))
            + "\n }"
            for part, rows in parts.items()
        ]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def read(cls, file: Path = FILE) -> Pins:
        """The committed pins."""
        found = json.loads(file.read_text(encoding="utf-8"))
        plugins = {name: (number, content) for name, (number, content) in found["plugins"].items()}
        return cls(plugins, {name: tuple(hashes) for name, hashes in found["definitions"].items()})


@dataclass(frozen=True)
class State:
    """The package as it stands: every plug-in and its closure."""

    package: Package
    plugins: Mapping[str, Plugin]
    closures: Mapping[str, Closure]

    def pins(self) -> Pins:
        """What would be pinned."""
        definitions: dict[str, set[str]] = {}
        for closure in self.closures.values():
            for definition, tree in closure.trees.items():
                definitions.setdefault(definition.name, set()).add(tree.short)
            for name, content in closure.data.items():
                definitions.setdefault(name, set()).add(content)
        return Pins(
            {
                name: (roots.revision(self.package, plugin), self.closures[name].hash)
                for name, plugin in self.plugins.items()
            },
            {name: tuple(sorted(found)) for name, found in definitions.items()},
        )

    def users(self, definition: Definition) -> list[str]:
        """Plug-ins that reach a definition."""
        return [name for name, closure in self.closures.items() if definition in closure.trees]


def read(reader: Reader) -> State:
    """Follow every plug-in of a package."""
    plugins = roots.plugins(reader.package)
    return State(
        reader.package, plugins, {name: reader.closure(plugin.root) for name, plugin in plugins.items()}
    )


def touched(old: Pins, new: Pins) -> list[str]:
    """Plug-ins whose closure or REVISION is not as pinned, new ones and those that are gone too."""
    names = [*new.plugins, *(name for name in old.plugins if name not in new.plugins)]
    return [name for name in names if old.plugins.get(name) != new.plugins.get(name)]


def report(old: Pins, state: State) -> str:
    """What has changed, whom it touches, and what to do; empty where all is as pinned."""
    new = state.pins()
    names = touched(old, new)
    if not names:
        return ""
    changed = [f"  {line}" for line in _changes(old, state, names)]
    asked = [f"  {name}: {_request(old, new, state, name)}" for name in names]
    return "\n".join(
        [
            "Code that plug-ins depend on is not as pinned:",
            *(changed or ["  the same definitions use each other in another way"]),
            "Decide for each plug-in: may its results change? Then raise its REVISION, so that keys change",
            "and old artifacts are not reused. If they cannot, leave it, and say why in the commit.",
            *asked,
            f"Then, in either case: {COMMAND}",
        ]
    )


def _changes(old: Pins, state: State, names: list[str]) -> list[str]:
    """Definitions and data that are not as pinned, with the plug-ins among ``names`` that reach them."""
    users: dict[str, list[str]] = {}
    for name in names:
        if name not in state.closures:
            continue
        closure = state.closures[name]
        for definition, tree in closure.trees.items():
            if tree.short not in old.definitions.get(definition.name, ()):
                path = state.package.source(definition.module).path.relative_to(state.package.folder.parent)
                users.setdefault(f"{definition.name} ({path.as_posix()})", []).append(name)
        for file, content in closure.data.items():
            if content not in old.definitions.get(file, ()):
                users.setdefault(file, []).append(name)
    new = state.pins()
    gone = [name for name in old.definitions if name not in new.definitions]
    return [
        *(f"{what}: {_list(found, state)}" for what, found in sorted(users.items())),
        *(f"{name}: used no longer" for name in gone),
    ]


def _list(names: list[str], state: State) -> str:
    every = len(names) == len(state.plugins)
    return f"all {len(names)} plug-ins" if every else ", ".join(names)


def _request(old: Pins, new: Pins, state: State, name: str) -> str:
    if name not in new.plugins:
        return "is gone"
    number, _ = new.plugins[name]
    if name not in old.plugins:
        return f"is new, REVISION {number}"
    before, _ = old.plugins[name]
    file = f"uvlp/{state.plugins[name].file}.py"
    return f"REVISION {number} in {file}" + (f", raised from {before}" if number != before else "")
