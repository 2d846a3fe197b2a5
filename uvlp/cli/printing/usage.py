"""Errors of the option parser in the form of all others: what is wrong, what is allowed, what to do."""

from __future__ import annotations

import re
from typing import Any

import typer

from uvlp.core.errors import UvlpError, unknown_name


def as_uvlp_error(error: typer.TyperException) -> UvlpError:
    """Return an error of the parser as one for users; its classes are private, so their names count."""
    context: Any = getattr(error, "ctx", None)
    option = getattr(error, "option_name", "")
    text = error.format_message()
    match type(error).__name__:
        case "MissingParameter":
            return _missing(context, error.param)  # type: ignore[attr-defined]
        case "NoSuchOption":
            names = [name for each in context.command.params for name in each.opts if name.startswith("--")]
            near = unknown_name("option", option, names)
            return UvlpError(near.what, got=option, fix=near.fix or _help(context))
        case "BadOptionUsage" if "does not take" in text:
            return UvlpError(f"{option} takes no value", allowed=option, fix=_help(context))
        case "BadOptionUsage":
            return UvlpError(f"{option} needs a value", allowed=f"{option} VALUE", fix=_help(context))
        case "UsageError" if hasattr(context.command, "commands"):
            return unknown_name("command", text.split("'")[1], context.command.commands)
        case "UsageError" if extra := re.fullmatch(r"Got unexpected extra argument.*? \((.*)\)", text):
            return UvlpError("too many arguments", got=extra[1], allowed=_usage(context), fix=_help(context))
    return UvlpError(f"{text[0].lower()}{text[1:]}".rstrip("."), fix=_help(context))


def missing(context: Any, name: str) -> UvlpError:
    """Return the error for an argument or option of a command that is missing."""
    return _missing(context, next(each for each in context.command.params if each.name == name))


def _missing(context: Any, parameter: Any) -> UvlpError:
    example = re.search(r"Example: (.*)", context.command.help or "")
    fix = f"for example: {example[1]}" if example else _help(context)
    return UvlpError(f"{_name(parameter)} is missing", allowed=parameter.help, fix=fix)


def _name(parameter: Any) -> str:
    """Return a parameter as in the help: "IPC", "--seed N,..."."""
    metavar = parameter.metavar or ""
    return metavar if parameter.param_type_name == "argument" else f"{parameter.opts[0]} {metavar}".strip()


def _usage(context: Any) -> str:
    arguments = [each for each in context.command.params if each.param_type_name == "argument"]
    return " ".join([_path(context), *map(_name, arguments), "and options"])


def _path(context: Any) -> str:
    """Return the command as it is called: "uvlp captions import"."""
    names: list[str] = []
    while context is not None and context.parent is not None:
        names.insert(0, str(context.info_name))
        context = context.parent
    return " ".join(["uvlp", *names])


def _help(context: Any) -> str:
    return f"see `{_path(context)} --help`" if context is not None else "see --help of the command"
