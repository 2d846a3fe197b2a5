"""The normalised syntax tree of one definition, and its references.

Ignored: docstrings, comments, imports, annotations of functions (but their references are followed: methods
of an argument's class are called), messages of exceptions, and all module paths, so that moving or merging
files does not change trees. Kept: everything else, including defaults and class bodies.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.pins.sources import Definition, Module, Package, Target, imported

PLUGINS = "uvlp.core.plugins"
DECLARED = {
    Definition(f"uvlp.declarations.{kind}", f"declared_{kind}")
    for kind in ("method", "dataset", "network", "protocol", "captioner")
}
"""Functions that read a plug-in's declaration; their call of `plugins.find` names the package."""
MODULE_NAME = re.compile(r"uvlp(\.\w+)+")
UNREAD = {"ctx", "kind", "type_comment"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True, order=True)
class Loaded:
    """Plug-ins loaded by name.

    Attributes:
        room: the package, a folder.
        name: of the plug-in, "" if it is not a constant in the source.
        attribute: the attribute that is read, "" for the complete module.
    """

    room: str
    name: str
    attribute: str = ""


@dataclass
class Tree:
    """The content of one definition.

    Attributes:
        text: of the tree.
        targets: definitions and complete modules of the package that it references.
        loaded: plug-ins that it loads by name.
        strings: its string constants, which may be names of data files.
        data: folders and files next to the source that it reads.
    """

    text: str = ""
    targets: set[Target] = field(default_factory=set)
    loaded: set[Loaded] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)
    data: set[Path] = field(default_factory=set)

    @cached_property
    def short(self) -> str:
        """Short hash of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:10]


def tree(package: Package, definition: Definition) -> Tree:
    """Return the tree of a definition."""
    found = Tree()
    reader = _Reader(package, definition.module, found)
    statements = package.source(definition.module).definitions[definition.name]
    found.text = "\n".join(dump(reader.visit(deepcopy(each))) for each in statements)
    return found


def dump(node: object) -> str:
    """Return the tree as text, the same in every version of Python."""
    if isinstance(node, ast.AST):
        fields = {name: getattr(node, name, None) for name in node._fields if name not in UNREAD}
        kept = [
            f"{name}={dump(value)}" for name, value in fields.items() if value is not None and value != []
        ]
        return f"{type(node).__name__}({', '.join(kept)})"
    if isinstance(node, list):
        return f"[{', '.join(map(dump, node))}]"
    return repr(node)


Binding = Target | Loaded | None


class _Reader(ast.NodeTransformer):
    """Replaces every reference to the package by the definition's name, and records it."""

    def __init__(self, package: Package, module: str, found: Tree) -> None:
        self._package, self._module, self._found = package, module, found
        self._scopes: list[dict[str, Binding]] = []
        self._in_class = False
        self._assigned: set[int] = set()

    # Names.

    def _lookup(self, name: str) -> Binding:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return self._package.resolve(self._module, name)

    def _meaning(self, node: ast.expr) -> Binding:
        """Return the target of a dotted name, or of a call of `plugins.load`."""
        match node:
            case ast.Name(id=name):
                return self._lookup(name)
            case ast.Attribute(value=value, attr=attribute):
                match self._meaning(value):
                    case Module(dotted):
                        found = self._package.resolve(dotted, attribute)
                        return found or _missing(dotted, attribute, self._module)
                    case Loaded(room, name, ""):
                        return Loaded(room, name, attribute)
            case ast.Call(func=function, args=[room, *rest]):
                loader = self._meaning(function)
                if loader == Definition(PLUGINS, "load"):
                    return Loaded(_literal(room), self._constant(rest[0]))
                if isinstance(loader, Definition) and loader in DECLARED:
                    return Loaded(self._room(loader), self._constant(room))
        return None

    def _room(self, declared: Definition) -> str:
        """Return the package in the call of `plugins.find` in one of `DECLARED`."""
        (function,) = self._package.source(declared.module).definitions[declared.name]
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        (room,) = [_literal(call.args[0]) for call in calls if getattr(call.func, "attr", "") == "find"]
        return room

    def _constant(self, node: ast.expr) -> str:
        """Return the value of a string literal or of a file's constant; "" if known only at run time."""
        match node:
            case ast.Constant(value=str(text)):
                return text
            case _:
                target = self._meaning(node)
        if isinstance(target, Definition):
            match self._package.source(target.module).definitions[target.name]:
                case [ast.Assign(value=ast.Constant(value=str(text)))]:
                    return text
        return ""

    def _note(self, meaning: Binding) -> ast.expr | None:
        """Record a reference and return its normalised form; None if it is not of the package."""
        match meaning:
            case Module():
                self._found.targets.add(meaning)
                return ast.Name("<module>")
            case Definition(module, name):
                if module != PLUGINS:
                    self._found.targets.add(meaning)
                return ast.Name(name)
            case Loaded(_, name, attribute):
                self._found.loaded.add(meaning)
                return ast.Name(attribute if name else f"<plug-in>.{attribute}")
        return None

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if isinstance(node.ctx, ast.Load):
            return self._note(self._lookup(node.id)) or node
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if (found := self._data(node)) is not None:
            return found
        meaning = self._meaning(node)
        if isinstance(meaning, Loaded) and isinstance(node.value, ast.Call):
            return self._load(node.value, meaning)
        return self._note(meaning) or self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if (found := self._data(node)) is not None:
            return found
        meaning = self._meaning(node)
        if isinstance(meaning, Loaded):
            return self._load(node, meaning)
        if self._meaning(node.func) in (Definition(PLUGINS, "names"), Definition(PLUGINS, "revision")):
            node.args = node.args[1:]
        return self.generic_visit(node)

    def _load(self, call: ast.Call, meaning: Loaded) -> ast.AST:
        """Normalise a call of `plugins.load`, like a static import if the plug-in is known."""
        name = self.visit(call.args[-1])
        if id(call) in self._assigned:
            return ast.Call(ast.Name("<load>"), [name], [])
        noted = self._note(meaning)
        return noted if meaning.name and noted else ast.Tuple([ast.Name(meaning.attribute), name])

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            self._found.strings.add(node.value)
            if MODULE_NAME.fullmatch(node.value) and node.value in self._package.modules:
                return self._note(Module(node.value)) or node
        return node

    # Files next to the source.

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        return self._data(node) or self.generic_visit(node)

    def _data(self, node: ast.expr) -> ast.expr | None:
        names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
        if names != {"Path", "__file__"}:
            return None
        code = compile(ast.Expression(ast.parse(ast.unparse(node), mode="eval").body), "", "eval")
        path = eval(code, {"Path": Path, "__file__": str(self._package.modules[self._module])})
        if not isinstance(path, Path):
            return None
        self._found.data.add(path)
        return ast.Constant("<data>")

    # Scopes.

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        for part in (*_annotations(node.args), node.returns):
            if part is not None:
                self.visit(part)
        for argument in _arguments(node.args):
            argument.annotation = None
        node.returns = None
        return self._scoped(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._scoped(node)

    def _scoped(self, node: ast.FunctionDef | ast.Lambda) -> ast.AST:
        # Defaults and decorators are evaluated outside.
        node.args = self.generic_visit(node.args)  # type: ignore[assignment]
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = [self.visit(each) for each in node.decorator_list]
        outside, self._in_class = self._in_class, False
        self._scopes.append(self._bindings(node))
        if isinstance(node.body, list):
            node.body = self._block(node.body)
        else:
            node.body = self.visit(node.body)
        self._scopes.pop()
        self._in_class = outside
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.bases = [self.visit(each) for each in node.bases]
        node.keywords = [self.visit(each) for each in node.keywords]
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        outside, self._in_class = self._in_class, True
        node.body = self._block(node.body)
        self._in_class = outside
        return node

    def _comprehension(self, node: ast.AST) -> ast.AST:
        targets = [generator.target for generator in node.generators]  # type: ignore[attr-defined]
        self._scopes.append({name: None for target in targets for name in _names(target)})
        made = self.generic_visit(node)
        self._scopes.pop()
        return made

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    def _bindings(self, node: ast.FunctionDef | ast.Lambda) -> dict[str, Binding]:
        """Return the targets of the names in a function's scope; None for its variables."""
        found: dict[str, Binding] = {argument.arg: None for argument in _arguments(node.args)}
        if isinstance(node, ast.Lambda):
            return found
        statements = list(_own(node.body))
        outer = {name for each in statements if isinstance(each, ast.Global) for name in each.names}
        for each in statements:
            if isinstance(each, ast.Import | ast.ImportFrom):
                places = imported(each)
                for alias in each.names:
                    name = alias.asname or alias.name.split(".")[0]
                    found[name] = self._package.resolve(*places[name]) if name in places else None
            else:
                found |= {name: None for name in _bound(each) if name not in outer}
        for name, value in _assigned_once(statements).items():
            self._scopes.append(found)
            meaning = self._meaning(value)
            self._scopes.pop()
            if isinstance(meaning, Loaded):
                found[name] = meaning
                self._assigned.add(id(value))
        return found

    # Statements.

    def _block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        visited = [self.visit(each) for each in statements]
        return [each for each in visited if each is not None] or [ast.Pass()]

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        return None

    visit_ImportFrom = visit_Import  # noqa: N815

    def visit_Pass(self, node: ast.Pass) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        node.annotation = self.visit(node.annotation)
        if self._in_class:  # a field of a dataclass
            node.value = self.visit(node.value) if node.value else None
            return node
        if node.value is None:
            return None
        return self.visit(ast.Assign(targets=[node.target], value=node.value))

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Keep only the name of an exception, by which it may be caught; its message affects no result."""
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = ast.unparse(raised).rpartition(".")[2] if raised else ""
        return ast.Raise(exc=ast.Name(name))


def _missing(module: str, name: str, user: str) -> Target | None:
    """Return None for a dunder name, which Python provides; any other missing name is an error."""
    if name.startswith("__"):
        return None
    raise LookupError(f"{user} reads {name} from {module}, which has no such definition")


def _literal(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
    raise LookupError(f"the package in {ast.unparse(node)} is not a constant in the source")


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [*named, *(each for each in (arguments.vararg, arguments.kwarg) if each)]


def _annotations(arguments: ast.arguments) -> list[ast.expr | None]:
    return [argument.annotation for argument in _arguments(arguments)]


def _names(node: ast.AST) -> Iterator[str]:
    yield from (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _own(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield every node in a function's own scope."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*FUNCTIONS, *COMPREHENSIONS, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name


def _assigned_once(nodes: list[ast.AST]) -> dict[str, ast.expr]:
    """Return the variables of a function that are assigned once, with their value."""
    values: dict[str, ast.expr] = {}
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = value
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=parts)):
                pairs = zip(names, parts, strict=True)
                values |= {name.id: value for name, value in pairs if isinstance(name, ast.Name)}
    stores = [name for node in nodes for name in _bound(node)]
    return {name: value for name, value in values.items() if stores.count(name) == 1}
