"""Read a plug-in's file into a typed declaration; missing, invalid or misspelt fields are an error.

Constants have upper-case names in the file (`TITLE`), functions the name of the field (`select`).
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from inspect import Parameter, Signature
from typing import Any, ClassVar, Protocol, TypeVar

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin


class Declaration(Protocol):
    """A dataclass whose fields except `origin` are made by `constant`, `function` or `settings.settings`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __init__(self, *, origin: Origin, **values: Any) -> None: ...


T = TypeVar("T", bound=Declaration)
REQUIRED = object()
SIMILARITY = 0.8
"""Similarity above which an unknown name is considered a misspelt field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The rule for a field of a declaration.

    Attributes:
        allowed: the allowed values, for messages.
        invalid: what is invalid about a value; None if it is valid.
        default: used if the file does not define it; `REQUIRED`: it must.
        name: in the file; empty: the field's name in upper case.
    """

    allowed: str
    invalid: Callable[[Any], object | None]
    default: Any = REQUIRED
    name: str = ""


def constant(allowed: str, valid: Callable[[Any], bool], default: Any = REQUIRED) -> Any:
    """A field that is a constant, e.g. ``TITLE``.

    Args:
        allowed: the allowed values, for messages.
        valid: returns whether a value is allowed.
        default: used if the file does not define it.
    """

    def invalid(value: Any) -> object | None:
        return None if valid(value) else value

    return _field(Rule(allowed=allowed, invalid=invalid, default=default))


def function(name: str, call: str, default: Any = REQUIRED) -> Any:
    """A field that is a function, called with the arguments ``call``: ``"inputs, settings, *, seed"``."""
    head, _, keywords = call.partition("*")
    positional = [each.strip() for each in head.split(",") if each.strip()]
    by_name = {each.strip(): None for each in keywords.split(",") if each.strip()}

    def invalid(value: Any) -> object | None:
        try:
            signature = value if isinstance(value, Signature) else inspect.signature(value)
        except (TypeError, ValueError):
            return type(value).__name__
        try:
            signature.bind(*positional, **by_name)
        except TypeError:
            return str(signature)
        return None

    allowed = f"a function that is called with ({call})"
    return _field(Rule(allowed=allowed, invalid=invalid, default=default, name=name))


def _field(rule: Rule) -> Any:
    return field(metadata={"rule": rule})


def positive_integer(value: Any) -> bool:
    """Return whether it is an integer of at least 1."""
    return type(value) is int and value >= 1


def text(value: Any) -> bool:
    """Return whether it is a non-empty line of text."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def flag(value: Any) -> bool:
    """Return whether it is True or False."""
    return isinstance(value, bool)


def texts(value: Any) -> bool:
    """Return whether it is a tuple of texts."""
    return isinstance(value, tuple) and all(map(text, value))


def some_of(*known: str) -> Callable[[Any], bool]:
    """A function that returns whether a value is a tuple of ``known`` names."""
    return lambda value: isinstance(value, tuple) and set(value) <= set(known)


def of_module(kind: type[T], origin: Origin) -> T:
    """Import a plug-in and read its declaration.

    Raises:
        UvlpError: it cannot be imported, or a field is missing, invalid or misspelt.
    """
    module = plugins.load(origin.group, origin.name)
    defined = vars(module)
    own = {name for name, value in defined.items() if name.isupper() or _is_own(value, origin.module)}
    return _declaration(kind, origin, defined, own)


def _is_own(value: Any, module: str) -> bool:
    return inspect.isroutine(value) and getattr(value, "__module__", "") == module


def of_source(kind: type[T], origin: Origin) -> T:
    """Parse the source of a plug-in, which may import model libraries, and read its declaration.

    Raises:
        UvlpError: it cannot be read, or a field is missing, invalid, misspelt or not a literal.
    """
    path = plugins.source(origin)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        what = f"{origin.file}, line {error.lineno}: {error.msg}"
        raise UvlpError(what, got=(error.text or "").strip()) from error
    defined = dict(_definitions(tree))
    return _declaration(kind, origin, defined, set(defined))


def docstring(origin: Origin) -> str:
    """The first line of the docstring of a plug-in's file, without importing it.

    Raises:
        UvlpError: it cannot be read.
    """
    try:
        return _first_line(plugins.source(origin).read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UvlpError(f"{origin.file}, line {error.lineno}: {error.msg}") from error


@cache
def _first_line(source: str) -> str:
    return (ast.get_docstring(ast.parse(source)) or "").split("\n")[0]


NOT_LITERAL = object()


def _definitions(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Names defined at the top level: literals, `NOT_LITERAL` for other values, signatures of functions."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, _literal(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, _literal(value)
            case ast.FunctionDef(name=name, args=arguments):
                yield name, _signature(arguments)
            case ast.ImportFrom(names=imported):
                yield from ((each.asname or each.name, NOT_LITERAL) for each in imported)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return NOT_LITERAL


def _signature(arguments: ast.arguments) -> Signature:
    """The signature as from `inspect.signature`, with None for every default."""
    plain = [*arguments.posonlyargs, *arguments.args]
    first = len(plain) - len(arguments.defaults)
    parameters = [
        Parameter(
            each.arg, Parameter.POSITIONAL_OR_KEYWORD, default=None if row >= first else Parameter.empty
        )
        for row, each in enumerate(plain)
    ]
    if arguments.vararg:
        parameters.append(Parameter(arguments.vararg.arg, Parameter.VAR_POSITIONAL))
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        value = Parameter.empty if default is None else None
        parameters.append(Parameter(each.arg, Parameter.KEYWORD_ONLY, default=value))
    if arguments.kwarg:
        parameters.append(Parameter(arguments.kwarg.arg, Parameter.VAR_KEYWORD))
    return Signature(parameters)


def _declaration(kind: type[T], origin: Origin, defined: Mapping[str, Any], own: set[str]) -> T:
    """Build the declaration from the names in a file; ``own``: names that may be misspelt fields."""
    rules: dict[str, Rule] = {each.name: each.metadata["rule"] for each in fields(kind) if each.metadata}
    by_name = {rule.name or name.upper(): (name, rule) for name, rule in rules.items()}
    _refuse_misspelt(origin, [name for name in by_name if name not in defined], own - set(by_name))
    values = {}
    for name, (attribute, rule) in by_name.items():
        if name in defined:
            values[attribute] = _checked(origin, name, rule, defined[name])
        elif rule.default is REQUIRED:
            raise UvlpError(f"{origin.file} declares no {name}", allowed=rule.allowed)
        else:
            values[attribute] = rule.default
    return kind(origin=origin, **values)


def _refuse_misspelt(origin: Origin, missing: list[str], own: set[str]) -> None:
    for name in sorted(own):
        same_form = [each for each in missing if each.isupper() == name.isupper()]
        for near in difflib.get_close_matches(name, same_form, n=1, cutoff=SIMILARITY):
            raise UvlpError(
                f"{origin.file}: {name} is not a field of a {origin.kind}",
                got=name,
                fix=f"did you mean {near}? Otherwise start the name with an underscore",
            )


def _checked(origin: Origin, name: str, rule: Rule, value: Any) -> Any:
    if value is NOT_LITERAL:
        allowed = f"{rule.allowed}, as a literal, because the file is parsed without being imported"
        raise UvlpError(f"{origin.file}: {name}", got="a name or an expression", allowed=allowed)
    if (invalid := rule.invalid(value)) is not None:
        raise UvlpError(f"{origin.file}: {name}", got=invalid, allowed=rule.allowed)
    return value
