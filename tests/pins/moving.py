"""Move, rename and merge files in a copy of the package, including imports, as a refactoring would.

`python -m tests.pins.moving FILE` carries out a Markdown table (`| old | new | how |` per file, with paths
relative to the package) in a temporary copy, and reports every plug-in whose pin changes.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.pins.closure import Reader, Root
from tests.pins.pins import PACKAGE, read
from tests.pins.sources import Definition, Module, Package, Target

ROW = re.compile(r"\| `(\S+)\.py` \| `(\S+)\.py` \| (\S+)")


@dataclass(frozen=True)
class Moves:
    """New module by old one, and new folder of plug-ins by old one; files with the same name are merged."""

    files: Mapping[str, str]
    rooms: Mapping[str, str]

    def file(self, module: str) -> str:
        """Return the new name of a module."""
        return self.files.get(module, module)

    def target(self, target: Target) -> Target:
        """Convert a target of the old package to the new one."""
        if isinstance(target, Definition):
            return Definition(self.file(target.module), target.name)
        return Module(self.file(target.dotted))

    def root(self, root: Root) -> Root:
        """Convert a root of the old package to the new one."""
        return replace(
            root,
            entries=tuple(map(self.target, root.entries)),
            chosen={self.rooms.get(room, room): names for room, names in root.chosen.items()},
            cut=frozenset(map(self.target, root.cut)),
        )


def move(old: Package, moves: Moves, folder: Path) -> Package:
    """Write the package with moved files to ``folder``."""
    shutil.copytree(old.folder / "datasets" / "classes", folder / "uvlp" / "datasets" / "classes")
    for module, path in old.modules.items():
        text = _rewritten(old, moves, module, path.read_text(encoding="utf-8"))
        init = path.name == "__init__.py" and module not in moves.files
        target = folder.joinpath(*moves.file(module).split("."), *(["__init__"] if init else []))
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_suffix(".py").open("a", encoding="utf-8") as file:
            file.write(text + "\n")
    return Package(folder / "uvlp")


def _rewritten(old: Package, moves: Moves, module: str, text: str) -> str:
    lines = text.splitlines()
    for node in reversed(list(ast.walk(ast.parse(text)))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("uvlp"):
            indent = " " * node.col_offset
            imports = [_import(old, moves, module, node.module or "", alias) for alias in node.names]
            lines[node.lineno - 1 : node.end_lineno] = [indent + (each or "pass") for each in imports]
    text = "\n".join(lines)
    for before, after in moves.rooms.items():
        text = re.sub(rf'(load|names|find)\(\s*"{before}"', rf'\1("{after}"', text)
    text = re.sub(r'"(uvlp(?:\.\w+)+)"', lambda match: f'"{moves.file(match[1])}"', text)
    depth = moves.file(module).count(".") - module.count(".")
    return text.replace("Path(__file__)", "Path(__file__)" + ".parent" * depth)


def _import(old: Package, moves: Moves, user: str, module: str, alias: ast.alias) -> str:
    name = f"{module}.{alias.name}"
    if name in old.modules:
        parent, _, last = moves.file(name).rpartition(".")
        return f"from {parent} import {last} as {alias.asname or alias.name}"
    if moves.file(module) == moves.file(user):
        return ""  # in the same file now
    return f"from {moves.file(module)} import {alias.name} as {alias.asname or alias.name}"


def changed(before: Package, moves: Moves, folder: Path) -> list[str]:
    """Return the plug-ins whose hash changes with the moves."""
    state = read(Reader(before))
    reader = Reader(move(before, moves, folder))
    return [
        name
        for name, plugin in state.plugins.items()
        if reader.closure(moves.root(plugin.root)).hash != state.closures[name].hash
    ]


def _planned(table: str, package: Package) -> tuple[Moves, list[str]]:
    """Return the moves of a table, and files that are not moved because they would bind a name twice."""
    files, clashes = {}, []
    owner: dict[tuple[str, str], str] = {}
    rows = [(before.removesuffix("/__init__"), after, how) for before, after, how in ROW.findall(table)]
    for before, after, _ in sorted(rows, key=lambda row: row[2] == "merge"):
        old, new = (f"uvlp.{each.replace('/', '.')}" for each in (before, after))
        if old not in package.modules or new.endswith(".__init__"):
            continue
        names = [(new, name) for name in package.source(old).definitions]
        if any(name in owner for name in names):
            clashes.append(f"{before} in {after}")
            continue
        owner |= dict.fromkeys(names, old)
        files[old] = new
    folders = {(old.rpartition(".")[0], new.rpartition(".")[0]) for old, new in files.items()}
    rooms = {"uvlp.protocols", "uvlp.captioners"}
    moved = {old: new for old, new in folders if old in rooms and not new.endswith(("texts", "training"))}
    slashed = {key[5:].replace(".", "/"): value[5:].replace(".", "/") for key, value in moved.items()}
    return Moves(files, slashed), clashes


def main() -> None:
    """Carry out the moves of the table given on the command line."""
    package = Package(PACKAGE)
    moves, clashes = _planned(Path(sys.argv[1]).read_text(encoding="utf-8"), package)
    moved = sum(old != new for old, new in moves.files.items())
    with tempfile.TemporaryDirectory() as folder:
        names = changed(package, moves, Path(folder))
    print(f"{moved} of {len(package.modules)} files moved or merged; a name would be bound twice:", clashes)
    print(f"{len(names)} pins changed", *names)


if __name__ == "__main__":
    main()
