"""What the commands of the command line share: quick conversion of values, and the layout of the help."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from typer.core import TyperCommand, TyperGroup

from uvlp.core.display.width import columns

WHAT, HOW, OUTPUT = "What to run", "How to run", "Output"
"""Sections of the help."""
WIDEST = 80


class _Conversion:
    """The value of an option, by typer's own conversion only where one is needed: that imports pydantic.

    Args:
        parameter: an option or argument.
        own: returns typer's conversion.
    """

    def __init__(self, parameter: Any, own: Callable[[], Any]) -> None:
        described = parameter.type_descriptor
        self._is_text = described.annotation is str and described.parameter_info.parser is None
        self._own = own

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value; typer calls it so."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if self._is_text and isinstance(value, str):
            return value
        return self._own().coerce(value, param=param, ctx=ctx)


def _convert_quickly(parameters: Iterable[Any]) -> None:
    for parameter in parameters:
        parameter.get_runtime_param = partial(_Conversion, parameter, parameter.get_runtime_param)


def _fit(ctx: Any) -> None:
    """Let the help be as narrow as the terminal, and no wider than what is read easily."""
    width = columns(sys.stdout)
    ctx.terminal_width = None if width is None else min(width, WIDEST)


class Group(TyperGroup):
    """All commands."""

    def get_help(self, ctx: Any) -> str:
        """Return the help."""
        _fit(ctx)
        return super().get_help(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the name of a command."""
        _convert_quickly(self.get_params(ctx))
        return super().parse_args(ctx, args)


class Command(TyperCommand):
    """A command whose help has one plain-text section per panel of options."""

    def get_help(self, ctx: Any) -> str:
        """Return the help."""
        _fit(ctx)
        return super().get_help(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments behind the name of the command."""
        _convert_quickly(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options by panel; the type of arguments is omitted, since the help describes it."""
        panels: dict[str, list[tuple[str, str]]] = {WHAT: [], HOW: [], OUTPUT: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                name = record[0].partition(" <")[0] if parameter.param_type_name == "argument" else record[0]
                panels[getattr(parameter, "rich_help_panel", None) or OUTPUT].append((name, record[1]))
        for panel, rows in panels.items():
            if rows:
                with formatter.section(panel):
                    formatter.write_dl(rows, col_max=min(30, formatter.width // 3))
