"""The class `Settings` of a plug-in, whose fields can be changed on the command line."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, get_type_hints

from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin
from uvlp.declarations.reading import REQUIRED, Rule
from uvlp.recipes.schema import Recipe

TYPES = (bool, int, float, str)
ALLOWED = "a class with @dataclass(frozen=True, slots=True, kw_only=True), fields NAME: TYPE = setting(...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSettings:
    """The settings of a plug-in without any."""


def settings(*, needs: tuple[str, ...] = (), optional: bool = True) -> Any:
    """A field of a declaration for the class `Settings`; ``needs``: its required fields."""

    def invalid(value: Any) -> object | None:
        return _invalid(value) or next(
            (f"no field {name}" for name in needs if name not in _names(value)), None
        )

    allowed = ALLOWED + (f", including {', '.join(needs)}" if needs else "")
    rule = Rule(
        allowed=allowed, invalid=invalid, default=NoSettings if optional else REQUIRED, name="Settings"
    )
    return field(metadata={"rule": rule})


def _names(value: Any) -> set[str]:
    return {each.name for each in fields(value)}


def _invalid(value: Any) -> str | None:
    """What is invalid about a class of settings; None if it is valid."""
    if not isinstance(value, type) or not is_dataclass(value):
        return "not a dataclass"
    if not value.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return "a dataclass that is not frozen"
    known = {each.name for each in fields(value)}
    plain = [name for name in vars(value) if not name.startswith("_") and name not in known]
    plain = [name for name in plain if not callable(getattr(value, name))]
    if plain:
        return f"{plain[0]} without a type annotation"
    try:
        hints = get_type_hints(value)
    except NameError as error:
        return str(error)
    return next(filter(None, (_invalid_field(each, hints[each.name]) for each in fields(value))), None)


def _invalid_field(each: Any, hint: Any) -> str | None:
    if "help" not in each.metadata:
        return f"{each.name} without setting()"
    if each.default is MISSING:
        return f"{each.name} without a default"
    tuples = isinstance(each.default, tuple)
    values = each.default if tuples else (each.default,)
    if not all(type(value) in TYPES for value in values):
        return f"{each.name} of type {type(each.default).__name__}"
    if not tuples and hint in TYPES and type(each.default) is not hint:
        return f"{each.name}: {hint.__name__} with the default {each.default!r}, of type " + (
            type(each.default).__name__
        )
    return None


def check_section(origin: Origin) -> None:
    """Refuse a plug-in whose name is ambiguous in ``--set NAME.FIELD=VALUE``.

    Raises:
        UvlpError: its name is that of a field of the recipe.
    """
    if origin.name.replace("-", "_") in _names(Recipe):
        what = f"{origin.file}: name of a {origin.kind}"
        raise UvlpError(what, got=origin.name, allowed="a name that is not a section of the settings")
