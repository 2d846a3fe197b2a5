"""The pinned hash of every plug-in's closure, and the report when one has changed."""

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
    """The pinned hashes.

    Attributes:
        plugins: REVISION and hash of the closure, by plug-in.
        definitions: short hashes of all trees and data files, by name, to report what has changed.
    """

    plugins: Mapping[str, tuple[int, str]]
    definitions: Mapping[str, tuple[str, ...]]

    def to_json(self) -> str:
        """Serialise with one line per plug-in and definition, so that merges rarely conflict."""
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
        """Read the committed pins."""
        content = json.loads(file.read_text(encoding="utf-8"))
        plugins = {name: (revision, sha256) for name, (revision, sha256) in content["plugins"].items()}
        return cls(plugins, {name: tuple(hashes) for name, hashes in content["definitions"].items()})


@dataclass(frozen=True)
class State:
    """The current package: every plug-in and its closure."""

    package: Package
    plugins: Mapping[str, Plugin]
    closures: Mapping[str, Closure]

    def pins(self) -> Pins:
        """Return the pins of the current package."""
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
        """Return the plug-ins that reach a definition."""
        return [name for name, closure in self.closures.items() if definition in closure.trees]


def read(reader: Reader) -> State:
    """Compute the closures of all plug-ins of a package."""
    plugins = roots.plugins(reader.package)
    return State(
        reader.package, plugins, {name: reader.closure(plugin.root) for name, plugin in plugins.items()}
    )


def touched(old: Pins, new: Pins) -> list[str]:
    """Return the plug-ins whose closure or REVISION differs from the pins, including new and removed ones."""
    names = [*new.plugins, *(name for name in old.plugins if name not in new.plugins)]
    return [name for name in names if old.plugins.get(name) != new.plugins.get(name)]


def report(old: Pins, state: State) -> str:
    """Describe what has changed, which plug-ins it affects, and what to do; empty if nothing has."""
    new = state.pins()
    names = touched(old, new)
    if not names:
        return ""
    changed = [f"  {line}" for line in _changes(old, state, names)]
    revisions = [f"  {name}: {_revision_line(old, new, state, name)}" for name in names]
    return "\n".join(
        [
            "Code that plug-ins depend on differs from the pins:",
            *(changed or ["  the references between the same definitions"]),
            "Decide for each plug-in whether its results may change. If so, raise its REVISION, so that keys",
            "change and old artifacts are not reused. If not, leave it, and give the reason in the commit.",
            *revisions,
            f"Then run, in either case: {COMMAND}",
        ]
    )


def _changes(old: Pins, state: State, names: list[str]) -> list[str]:
    """Return the changed definitions and data, with the plug-ins among ``names`` that reach them."""
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
    removed = [name for name in old.definitions if name not in new.definitions]
    return [
        *(f"{what}: {_list(names, state)}" for what, names in sorted(users.items())),
        *(f"{name}: no longer used" for name in removed),
    ]


def _list(names: list[str], state: State) -> str:
    return f"all {len(names)} plug-ins" if len(names) == len(state.plugins) else ", ".join(names)


def _revision_line(old: Pins, new: Pins, state: State, name: str) -> str:
    if name not in new.plugins:
        return "removed"
    number, _ = new.plugins[name]
    if name not in old.plugins:
        return f"new, REVISION {number}"
    before, _ = old.plugins[name]
    file = f"uvlp/{state.plugins[name].file}.py"
    return f"REVISION {number} in {file}" + (f", raised from {before}" if number != before else "")
