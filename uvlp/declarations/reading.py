"""A plug-in's file is read once into a typed declaration; what is missing, wrong or misspelt is one line.

A constant stands in the file in capitals (`TITLE`), a function under its own name (`select`).
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from inspect import Parameter, Signature
from typing import Any, ClassVar, Protocol, TypeVar

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin


class Declaration(Protocol):
    """A dataclass whose fields beside `origin` are made by `constant`, `function` or `settings.settings`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __init__(self, *, origin: Origin, **values: Any) -> None: ...


T = TypeVar("T", bound=Declaration)
REQUIRED = object()
NEAR = 0.8
"""Likeness from which a name that nobody asks for is taken for a misspelt one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a field of a declaration must be in the file.

    Attributes:
        words: for readers.
        wrong: what is wrong with a value, None where nothing is.
        default: where the file does not have it; `REQUIRED`: it must.
        name: in the file; empty: that of the field in capitals.
    """

    words: str
    wrong: Callable[[Any], object | None]
    default: Any = REQUIRED
    name: str = ""


def constant(words: str, fits: Callable[[Any], bool], default: Any = REQUIRED) -> Any:
    """A field that is a constant, e.g. ``TITLE``.

    Args:
        words: what it must be, for readers.
        fits: whether a value is that.
        default: where the file does not have it.
    """
    return _field(Rule(words=words, wrong=lambda value: None if fits(value) else value, default=default))


def function(name: str, call: str, default: Any = REQUIRED) -> Any:
    """A field that is a function, which is called as ``call``: ``"inputs, settings, *, seed"``."""
    head, _, keywords = call.partition("*")
    given = [each.strip() for each in head.split(",") if each.strip()]
    named = {each.strip(): None for each in keywords.split(",") if each.strip()}

    def wrong(value: Any) -> object | None:
        try:
            signature = value if isinstance(value, Signature) else inspect.signature(value)
        except (TypeError, ValueError):
            return type(value).__name__
        try:
            signature.bind(*given, **named)
        except TypeError:
            return str(signature)
        return None

    words = f"a function that is called with ({call})"
    return _field(Rule(words=words, wrong=wrong, default=default, name=name))


def _field(rule: Rule) -> Any:
    return field(metadata={"rule": rule})


def whole(value: Any) -> bool:
    """Whether it is a whole number of 1 or more."""
    return type(value) is int and value >= 1


def text(value: Any) -> bool:
    """Whether it is one line of text."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def flag(value: Any) -> bool:
    """Whether it is True or False."""
    return isinstance(value, bool)


def texts(value: Any) -> bool:
    """Whether it is a tuple of texts."""
    return isinstance(value, tuple) and all(map(text, value))


def some_of(*known: str) -> Callable[[Any], bool]:
    """Whether a value is a tuple of names that are known."""
    return lambda value: isinstance(value, tuple) and set(value) <= set(known)


def of_module(kind: type[T], origin: Origin) -> T:
    """The declaration of a plug-in that is imported.

    Raises:
        UvlpError: it cannot be imported, or a field is missing, wrong or misspelt.
    """
    module = plugins.load(origin.group, origin.name)
    given = vars(module)
    own = {name for name, value in given.items() if name.isupper() or _is_own(value, origin.module)}
    return _declared(kind, origin, given, own)


def _is_own(value: Any, module: str) -> bool:
    return inspect.isroutine(value) and getattr(value, "__module__", "") == module


def of_source(kind: type[T], origin: Origin) -> T:
    """The declaration of a plug-in that imports model libraries: its source is read, it is not imported.

    Raises:
        UvlpError: it cannot be read, or a field is missing, wrong, misspelt, or no literal.
    """
    path = plugins.source(origin)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        what = f"{origin.file}, line {error.lineno}: {error.msg}"
        raise UvlpError(what, got=(error.text or "").strip()) from error
    given = dict(_bound(tree))
    return _declared(kind, origin, given, set(given))


def docstring(origin: Origin) -> str:
    """The first line of a plug-in's file, which is not imported.

    Raises:
        UvlpError: it cannot be read.
    """
    try:
        tree = ast.parse(plugins.source(origin).read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UvlpError(f"{origin.file}, line {error.lineno}: {error.msg}") from error
    return (ast.get_docstring(tree) or "").split("\n")[0]


NO_LITERAL = object()


def _bound(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """What a file binds at its top level: literals, `NO_LITERAL` for other values, functions' signatures."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, _literal(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, _literal(value)
            case ast.FunctionDef(name=name, args=arguments):
                yield name, _signature(arguments)
            case ast.ImportFrom(names=imported):
                yield from ((each.asname or each.name, NO_LITERAL) for each in imported)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return NO_LITERAL


def _signature(arguments: ast.arguments) -> Signature:
    """As `inspect.signature` would give it; of a default it counts that there is one."""
    plain = [*arguments.posonlyargs, *arguments.args]
    first = len(plain) - len(arguments.defaults)
    found = [
        Parameter(
            each.arg, Parameter.POSITIONAL_OR_KEYWORD, default=None if row >= first else Parameter.empty
        )
        for row, each in enumerate(plain)
    ]
    if arguments.vararg:
        found.append(Parameter(arguments.vararg.arg, Parameter.VAR_POSITIONAL))
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        none = Parameter.empty if default is None else None
        found.append(Parameter(each.arg, Parameter.KEYWORD_ONLY, default=none))
    if arguments.kwarg:
        found.append(Parameter(arguments.kwarg.arg, Parameter.VAR_KEYWORD))
    return Signature(found)


def _declared(kind: type[T], origin: Origin, given: Mapping[str, Any], own: set[str]) -> T:
    """The declaration of what a file binds; ``own``: what may be a misspelt field."""
    rules: dict[str, Rule] = {each.name: each.metadata["rule"] for each in fields(kind) if each.metadata}
    named = {rule.name or name.upper(): (name, rule) for name, rule in rules.items()}
    _refuse_misspelt(origin, [name for name in named if name not in given], own - set(named))
    values = {}
    for name, (attribute, rule) in named.items():
        if name in given:
            values[attribute] = _checked(origin, name, rule, given[name])
        elif rule.default is REQUIRED:
            raise UvlpError(f"{origin.file} declares no {name}", allowed=rule.words)
        else:
            values[attribute] = rule.default
    return kind(origin=origin, **values)


def _refuse_misspelt(origin: Origin, lacking: list[str], own: set[str]) -> None:
    for name in sorted(own):
        same_form = [each for each in lacking if each.isupper() == name.isupper()]
        for near in difflib.get_close_matches(name, same_form, n=1, cutoff=NEAR):
            raise UvlpError(
                f"{origin.file}: {name} is no field of a {origin.kind}",
                got=name,
                fix=f"did you mean {near}? Else begin its name with an underscore",
            )


def _checked(origin: Origin, name: str, rule: Rule, value: Any) -> Any:
    if value is NO_LITERAL:
        allowed = f"{rule.words}, written out in the file, which is read without being imported"
        raise UvlpError(f"{origin.file}: {name}", got="a name or an expression", allowed=allowed)
    if (wrong := rule.wrong(value)) is not None:
        raise UvlpError(f"{origin.file}: {name}", got=wrong, allowed=rule.words)
    return value
