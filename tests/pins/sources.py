"""Parse the package into definitions: the names that every file binds at its top level."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

STATEMENTS = "(statements)"
"""Name of a file's top-level statements that bind no name; all its definitions depend on them."""


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
        imports: names imported from the package: module and name in it, by local name.
        definitions: the statements that bind each name, and `STATEMENTS`.
    """

    path: Path
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)

    def add(self, statement: ast.stmt) -> None:
        """Add a top-level statement."""
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
    """Return local name -> (module, name in it or "") of an import from the package; empty for libraries."""
    if isinstance(statement, ast.ImportFrom):
        assert statement.level == 0, "imports are absolute"
        module = statement.module or ""
        origins = {alias.asname or alias.name: (module, alias.name) for alias in statement.names}
    else:
        origins = {alias.asname or alias.name: (alias.name, "") for alias in statement.names}
    return {name: origin for name, origin in origins.items() if origin[0].split(".")[0] == "uvlp"}


def bound(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a top-level statement binds."""
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
        """Return the package with another text in one file; other files are not read again."""
        other = copy(self)
        other._sources = self._sources | {module: _parse(self.modules[module], text)}
        return other

    @cached_property
    def modules(self) -> Mapping[str, Path]:
        """Files by module name."""
        modules = {}
        for path in sorted(self.folder.rglob("*.py")):
            parts = path.relative_to(self.folder.parent).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        return modules

    def source(self, module: str) -> Source:
        """Return a parsed file."""
        if module not in self._sources:
            path = self.modules[module]
            self._sources[module] = _parse(path, path.read_text(encoding="utf-8"))
        return self._sources[module]

    def resolve(self, module: str, name: str) -> Target | None:
        """Return the target of ``name`` in ``module``; None for a built-in or another library.

        Raises:
            LookupError: the package has no such module.
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
        """Return the module names of the plug-ins in ``uvlp/<room>``."""
        prefix = f"uvlp.{room.replace('/', '.')}"
        files = {name: path for name, path in self.modules.items() if path.name != "__init__.py"}
        return [name for name in files if name.rpartition(".")[0] == prefix]
