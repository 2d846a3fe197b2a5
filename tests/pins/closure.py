"""The definitions inside the package on which a plug-in's results depend, by their syntax trees.

Hashes do not depend on paths: a node is a definition's name and the hash of its tree, so a file can be moved,
or merged into another one, without changing a hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.pins.sources import STATEMENTS, Definition, Module, Package, Target
from tests.pins.trees import Loaded, Tree, tree

REVISION = "REVISION"


@dataclass(frozen=True, kw_only=True)
class Root:
    """Entry points of a closure, and definitions that it excludes.

    Attributes:
        entries: complete modules, and definitions.
        chosen: by package, the plug-ins that a task of this root can load by a name known at run time; all
            plug-ins of packages that are not listed.
        cut: modules and definitions that are not followed, because they have their own REVISION in the
            same keys, or belong to another branch of a stage.
    """

    entries: tuple[Target, ...]
    chosen: Mapping[str, tuple[str, ...]]
    cut: frozenset[Target] = frozenset()


@dataclass(frozen=True)
class Closure:
    """All definitions that a root reaches.

    Attributes:
        trees: by definition.
        uses: pairs of a definition and one that it references.
        data: content hashes of data files that are read, by name.
    """

    trees: Mapping[Definition, Tree]
    uses: frozenset[tuple[Definition, Definition]]
    data: Mapping[str, str]

    @cached_property
    def hash(self) -> str:
        """Hash of names, trees, references and data, without paths."""
        lines = {self.label(each) for each in self.trees}
        lines |= {f"{self.label(user)} uses {self.label(used)}" for user, used in self.uses}
        lines |= {f"data {name} {content}" for name, content in self.data.items()}
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]

    def label(self, definition: Definition) -> str:
        """Return name and tree hash of a definition."""
        return f"{definition.name} {self.trees[definition].short}"


class Reader:
    """Computes closures within one package, reading every definition once.

    Args:
        package: the package.
        known: trees that have already been read.
    """

    def __init__(self, package: Package, known: Mapping[Definition, Tree] | None = None) -> None:
        self.package = package
        self._trees = dict(known or {})

    @property
    def known(self) -> Mapping[Definition, Tree]:
        """The trees that have been read."""
        return self._trees

    def tree(self, definition: Definition) -> Tree:
        """Return the tree of a definition."""
        if definition not in self._trees:
            self._trees[definition] = tree(self.package, definition)
        return self._trees[definition]

    def closure(self, root: Root) -> Closure:
        """Return everything that a root reaches."""
        found: dict[Definition, Tree] = {}
        uses = set()
        waiting = [each for entry in root.entries for each in self._definitions(entry)]
        while waiting:
            current = waiting.pop()
            if current in found:
                continue
            found[current] = self.tree(current)
            named = {each for each in self._named(current, root) if self._counts(each, root)}
            uses |= {(current, each) for each in named}
            waiting.extend(named)
        return Closure(found, frozenset(uses), dict(_data_files(found.values())))

    def _counts(self, definition: Definition, root: Root) -> bool:
        cut = definition in root.cut or Module(definition.module) in root.cut
        return definition.name != REVISION and not cut

    def _named(self, definition: Definition, root: Root) -> Iterator[Definition]:
        """Yield what a definition references, plug-ins that it loads, and the statements of its file."""
        source = self.package.source(definition.module)
        if STATEMENTS in source.definitions:
            yield Definition(definition.module, STATEMENTS)
        found = self.tree(definition)
        for target in found.targets:
            yield from self._definitions(target)
        for loaded in found.loaded:
            yield from self._plugins(loaded, root)

    def _definitions(self, target: Target) -> Iterator[Definition]:
        if isinstance(target, Definition):
            yield target
            return
        names = self.package.source(target.dotted).definitions
        yield from (Definition(target.dotted, name) for name in names if name != REVISION)

    def _plugins(self, loaded: Loaded, root: Root) -> Iterator[Definition]:
        prefix = f"uvlp.{loaded.room.replace('/', '.')}"
        if loaded.name:
            modules = [f"{prefix}.{loaded.name.replace('-', '_')}"]
        elif loaded.room in root.chosen:
            modules = [f"{prefix}.{name.replace('-', '_')}" for name in root.chosen[loaded.room]]
        else:
            modules = self.package.plugins(loaded.room)
        for module in modules:
            # A declaration has a constant's name in small letters, and the class `Settings` as `settings`.
            for name in dict.fromkeys([loaded.attribute, loaded.attribute.upper(), loaded.attribute.title()]):
                target = self.package.resolve(module, name)
                yield from self._definitions(target) if target else ()


def _data_files(trees: Iterable[Tree]) -> Iterator[tuple[str, str]]:
    """Yield name and content hash of data files: of a folder those that a string constant names, or all."""
    trees = list(trees)
    strings = set[str]().union(*(each.strings for each in trees))
    for path in sorted(set[Path]().union(*(each.data for each in trees))):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        files = [file for file in files if file.is_file() and file.suffix not in (".py", ".pyc")]
        named = [file for file in files if file.stem in strings or file.name in strings]
        for file in named or files:
            yield file.name, hashlib.sha256(file.read_bytes()).hexdigest()[:10]
