"""Move, rename and merge files of a copy of the package, imports and all, as a refactoring would.

`python -m tests.pins.moving FILE` does what a table in Markdown says (`| old | new | how |` per file of the
package, paths below it) in a temporary copy, and reports every plug-in whose pin is another afterwards.
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
    """New dotted name by old one, and new folder of plug-ins by old one; files of one name are merged."""

    files: Mapping[str, str]
    rooms: Mapping[str, str]

    def file(self, module: str) -> str:
        """Where a module is afterwards."""
        return self.files.get(module, module)

    def target(self, target: Target) -> Target:
        """A target of the old package in the new one."""
        if isinstance(target, Definition):
            return Definition(self.file(target.module), target.name)
        return Module(self.file(target.dotted))

    def root(self, root: Root) -> Root:
        """A root of the old package in the new one."""
        return replace(
            root,
            entries=tuple(map(self.target, root.entries)),
            chosen={self.rooms.get(room, room): names for room, names in root.chosen.items()},
            cut=frozenset(map(self.target, root.cut)),
        )


def move(old: Package, moves: Moves, folder: Path) -> Package:
    """Write the package with its files moved into ``folder``."""
    shutil.copytree(old.folder / "datasets" / "classes", folder / "uvlp" / "datasets" / "classes")
    for module, path in old.modules.items():
        text = _rewritten(old, moves, module, path.read_text(encoding="utf-8"))
        init = path.name == "__init__.py" and module not in moves.files
        place = folder.joinpath(*moves.file(module).split("."), *(["__init__"] if init else []))
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.with_suffix(".py").open("a", encoding="utf-8") as file:
            file.write(text + "\n")
    return Package(folder / "uvlp")


def _rewritten(old: Package, moves: Moves, module: str, text: str) -> str:
    lines = text.splitlines()
    for node in reversed(list(ast.walk(ast.parse(text)))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("uvlp"):
            indent = " " * node.col_offset
            made = [_import(old, moves, module, node.module or "", alias) for alias in node.names]
            lines[node.lineno - 1 : node.end_lineno] = [indent + (each or "pass") for each in made]
    text = "\n".join(lines)
    for before, after in moves.rooms.items():
        text = re.sub(rf'(load|names|find)\(\s*"{before}"', rf'\1("{after}"', text)
    text = re.sub(r'"(uvlp(?:\.\w+)+)"', lambda found: f'"{moves.file(found[1])}"', text)
    depth = moves.file(module).count(".") - module.count(".")
    return text.replace("Path(__file__)", "Path(__file__)" + ".parent" * depth)


def _import(old: Package, moves: Moves, user: str, module: str, alias: ast.alias) -> str:
    name = f"{module}.{alias.name}"
    if name in old.modules:
        parent, _, last = moves.file(name).rpartition(".")
        return f"from {parent} import {last} as {alias.asname or alias.name}"
    if moves.file(module) == moves.file(user):
        return ""  # of the same file now
    return f"from {moves.file(module)} import {alias.name} as {alias.asname or alias.name}"


def changed(before: Package, moves: Moves, folder: Path) -> list[str]:
    """Plug-ins whose hash is another after the moves."""
    state = read(Reader(before))
    reader = Reader(move(before, moves, folder))
    return [
        name
        for name, plugin in state.plugins.items()
        if reader.closure(moves.root(plugin.root)).hash != state.closures[name].hash
    ]


def _planned(table: str, package: Package) -> tuple[Moves, list[str]]:
    """The moves of a table, and files that would bind one name twice, which keep their own."""
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
    found = {old: new for old, new in folders if old in rooms and not new.endswith(("texts", "training"))}
    slashed = {key[5:].replace(".", "/"): value[5:].replace(".", "/") for key, value in found.items()}
    return Moves(files, slashed), clashes


def main() -> None:
    """Do the moves of the table named on the command line."""
    package = Package(PACKAGE)
    moves, clashes = _planned(Path(sys.argv[1]).read_text(encoding="utf-8"), package)
    moved = sum(old != new for old, new in moves.files.items())
    with tempfile.TemporaryDirectory() as folder:
        found = changed(package, moves, Path(folder))
    print(f"{moved} of {len(package.modules)} files moved or merged; a name would be bound twice:", clashes)
    print(f"{len(found)} pins are other than before", *found)


if __name__ == "__main__":
    main()
