"""The package as definitions: what every file binds at its top level, without running anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

STATEMENTS = "(statements)"
"""Name of what a file does at its top level beside binding names; belongs to all that it binds."""


@dataclass(frozen=True, slots=True, order=True)
class Module:
    """A file of the package, ``uvlp.core.seeds``."""

    dotted: str


@dataclass(frozen=True, slots=True, order=True)
class Definition:
    """A function, class or constant at the top level of a file."""

    module: str
    name: str


Target = Module | Definition


@dataclass
class Source:
    """One parsed file.

    Attributes:
        path: the file.
        imports: what a name stands for that is imported from the package; modules and names in them.
        definitions: the statements that bind each name, and `STATEMENTS`.
    """

    path: Path
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)

    def add(self, statement: ast.stmt) -> None:
        """Sort a statement of the top level."""
        match statement:
            case ast.Import() | ast.ImportFrom():
                self.imports |= imported(statement)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                for inner in statement.body:
                    self.add(inner)
            case ast.Pass() | ast.Expr(value=ast.Constant(value=str())):
                pass
            case _:
                for name in list(bound(statement)) or [STATEMENTS]:
                    self.definitions.setdefault(name, []).append(statement)


def imported(statement: ast.Import | ast.ImportFrom) -> dict[str, tuple[str, str]]:
    """Local name -> (module, name in it or "") of an import from the package; nothing for other libraries."""
    if isinstance(statement, ast.ImportFrom):
        assert statement.level == 0, "imports are absolute"
        module = statement.module or ""
        found = {alias.asname or alias.name: (module, alias.name) for alias in statement.names}
    else:
        found = {alias.asname or alias.name: (alias.name, "") for alias in statement.names}
    return {name: place for name, place in found.items() if place[0].split(".")[0] == "uvlp"}


def bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement of the top level binds."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.Assign():
            for target in statement.targets:
                yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            yield name


def _parse(path: Path, text: str) -> Source:
    source = Source(path)
    for statement in ast.parse(text).body:
        source.add(statement)
    return source


class Package:
    """All files below ``folder``, the folder ``uvlp``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sources: dict[str, Source] = {}

    def with_text(self, module: str, text: str) -> Package:
        """The same package with another text in one file; nothing else is read again."""
        other = copy(self)
        other._sources = self._sources | {module: _parse(self.modules[module], text)}
        return other

    @cached_property
    def modules(self) -> Mapping[str, Path]:
        """File by dotted name."""
        found = {}
        for path in sorted(self.folder.rglob("*.py")):
            parts = path.relative_to(self.folder.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        return found

    def source(self, module: str) -> Source:
        """A parsed file."""
        if module not in self._sources:
            path = self.modules[module]
            self._sources[module] = _parse(path, path.read_text(encoding="utf-8"))
        return self._sources[module]

    def resolve(self, module: str, name: str) -> Target | None:
        """What ``name`` in ``module`` stands for; None for a built-in or another library's.

        Raises:
            LookupError: the package has no such thing.
        """
        if f"{module}.{name}" in self.modules:
            return Module(f"{module}.{name}")
        if module not in self.modules:
            raise LookupError(f"no module {module}")
        if not name:
            return Module(module)
        source = self.source(module)
        if name in source.imports:
            return self.resolve(*source.imports[name])
        if name in source.definitions:
            return Definition(module, name)
        return None

    def plugins(self, room: str) -> list[str]:
        """Dotted names of the plug-ins in ``uvlp/<room>``."""
        prefix = f"uvlp.{room.replace('/', '.')}"
        files = {name: path for name, path in self.modules.items() if path.name != "__init__.py"}
        return [name for name in files if name.rpartition(".")[0] == prefix]
