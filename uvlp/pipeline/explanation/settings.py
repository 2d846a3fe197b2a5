"""Settings of a run with their values, and where each value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from uvlp.artifacts.task import plain
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.planning.contenders import Method
from uvlp.recipes.schema import Recipe

OF_A_DEVIATION = "D-"
"""In the source of a default that is not the published value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        path: its name for `--set`, or the name of a field of the recipe with an option of its own.
        value, default: as JSON values.
        published: the value in the papers' recipe; None if that has no such step.
        source: of the value: that of the default, or what changed it.
        help: its description.
    """

    path: str
    value: Any
    default: Any
    published: Any
    source: str
    help: str

    @property
    def changed(self) -> bool:
        """Whether it differs from its default."""
        return bool(self.value != self.default)

    @property
    def departs(self) -> bool:
        """Whether it differs from the papers' recipe, or is a numbered deviation."""
        return (self.published is not None and self.value != self.published) or (
            not self.changed and OF_A_DEVIATION in self.source
        )


def described(
    section: str,
    versions: Sequence[tuple[str, Any]],
    published: Any,
    *,
    only: Sequence[str] = (),
    own: tuple[str, Any] | None = None,
) -> Iterator[Setting]:
    """Yield the settings of a dataclass.

    Args:
        section: prefix of their names, or empty.
        versions: the dataclass by what changed it, in the order in which the changes were made.
        published: the dataclass of the papers' recipe, or None.
        only: the fields to describe; empty: all that are settings.
        own: defaults that a method declares instead of those of the dataclass, and their source.
    """
    _, settings = versions[-1]
    for field in fields(settings):
        if field.metadata and (not only or field.name in only):
            value, default, source = plain(getattr(settings, field.name)), plain(field.default), ""
            if own is not None and (declared := plain(getattr(own[1], field.name))) != default:
                source, default = own[0], declared
            values = [(label, plain(getattr(version, field.name))) for label, version in versions]
            usual = source or field.metadata["source"]
            yield Setting(
                path=f"{section}.{field.name}".removeprefix("."),
                value=value,
                default=default,
                published=None if published is None else plain(getattr(published, field.name)),
                source=usual if value == default else _last_change(values, default),
                help=field.metadata["help"],
            )


def _last_change(values: Sequence[tuple[str, Any]], default: Any) -> str:
    """Return what gave a setting its last value."""
    current, source = default, ""
    for label, value in values:
        if value != current:
            current, source = value, label
    return source


def sections(recipe: Recipe, method: Method) -> dict[str, Any]:
    """Return all settings that a run may use, by the prefix that `--set` takes."""
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    protocol = declared_protocol(recipe.protocol)
    return {
        **{name: value for name, value in values.items() if is_dataclass(value)},
        protocol.section: protocol.settings_in(recipe),
        method.section: method.settings,
        f"{method.section}.synthesis": method.synthesis,
    }
