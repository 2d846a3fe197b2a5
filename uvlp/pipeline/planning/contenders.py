"""Rows of a table: a method with its settings, or image folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from uvlp.declarations.method import MethodDeclaration, declared_method
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.planning import variants
from uvlp.recipes import overrides
from uvlp.recipes.schema import Recipe, SynthesisSettings
from uvlp.recipes.setting import check_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A requested method, e.g. `uvlp:no-outliers`, with its resolved settings.

    Attributes:
        spec: as on the command line, with its variants in the order of their declaration.
        name: of the plug-in.
        declared: its declaration.
        parts: the variants that are combined.
        settings, synthesis: resolved; ``synthesis`` is None for real images.
    """

    spec: str
    name: str
    declared: MethodDeclaration
    parts: tuple[str, ...]
    settings: Any
    synthesis: SynthesisSettings | None

    @property
    def title(self) -> str:
        """Title for tables and messages, with the variants."""
        return (
            f"{self.declared.title} ({variants.JOIN.join(self.parts)})" if self.parts else self.declared.title
        )

    @property
    def section(self) -> str:
        """The prefix of its settings for `--set`."""
        return prefix(self.name) + self.name

    @property
    def whole_set(self) -> bool:
        """Whether the method's result is the training set itself."""
        return self.declared.whole_set

    @property
    def stage(self) -> str:
        """The stage that makes its images."""
        kinds = {"optimise": self.declared.optimise, "sample": self.declared.sample}
        return next((stage for stage, function in kinds.items() if function is not None), "synthesise")

    @property
    def features(self) -> tuple[str, ...]:
        """The parts of the features that it uses."""
        return self.declared.reads(self.settings)

    @property
    def models(self) -> tuple[str, ...]:
        """The parts of the models that it reads."""
        return self.declared.reads_models(self.settings)

    def has(self, seed: int) -> bool:
        """Return whether there are images of that seed: true for every seed."""
        return True


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Image folders of any source in place of a method: one for all seeds, or one per seed.

    Attributes:
        spec: the folders as given.
        title: title for tables and messages.
        paths: folder as given, by distillation seed.
        origins: resolved path of the folder, by seed.
        facts: facts that determine the selected images (`pipeline/folders/images.py`), by seed.
        note: a line about their source below the table; may be empty.
    """

    spec: str
    title: str
    paths: Mapping[int, str]
    origins: Mapping[int, str]
    facts: Mapping[int, Mapping[str, Any]]
    note: str = ""
    whole_set: ClassVar[bool] = False

    def has(self, seed: int) -> bool:
        """Return whether there are images of that seed."""
        return seed in self.facts

    @property
    def several(self) -> bool:
        """Whether the seeds have separate folders."""
        return len(set(self.origins.values())) > 1


def prefix(name: str) -> str:
    """Return what precedes a method's name in `--set`: nothing, or ``"method."`` if a section has that name.

    For example `method.rded.factor` of the method `rded`, and `rded.factor` of the protocol.
    """
    taken = {field.name for field in fields(Recipe)}
    return "method." if name.replace("-", "_") in taken else ""


def resolve_method(spec: str, recipe: Recipe) -> Method:
    """Return a method with the settings of the recipe and of its variants.

    Raises:
        UvlpError: unknown method, variant or setting, a contradiction, or a setting out of range.
    """
    given = spec.partition(":")[0]
    declared = declared_method(given)
    name, parts = declared.origin.name, variants.parts_of(declared, spec)
    chosen: dict[str, Any] = {**declared.profiles.get(recipe.profile, {}), **recipe.method.get(name, {})}
    changes = variants.changes_of(declared, parts)
    own = {**chosen.pop("synthesis", {}), **changes.pop("synthesis", {})}
    synthesis = declared.synthesis
    if synthesis is not None:
        synthesis = overrides.merge(synthesis, {**recipe.synthesis, **own})
        check_limits(synthesis, f"{prefix(name)}{name}.synthesis")
    settings = overrides.merge(declared.settings(), {**chosen, **changes})
    check_limits(settings, prefix(name) + name)
    return Method(
        spec=variants.joined(given, parts),
        name=name,
        declared=declared,
        parts=parts,
        settings=settings,
        synthesis=synthesis,
    )


def set_method(recipe: Recipe, name: str, path: str, value: Any) -> Recipe:
    """Return the recipe with one setting of a method changed; ``path`` is below the method's name.

    Raises:
        UvlpError: no such setting, or the value does not fit its type.
    """
    declared = declared_method(name)
    own = dict(recipe.method.get(name, {}))
    first, _, rest = path.partition(".")
    if first == "synthesis" and declared.synthesis is not None:
        new = overrides.apply(declared.synthesis, rest, value)
        own["synthesis"] = {**own.get("synthesis", {}), rest: getattr(new, rest)}
    else:
        new = overrides.apply(declared.settings(), path, value)
        own[first] = getattr(new, first)
    return replace(recipe, method={**recipe.method, name: own})


def set_protocol(recipe: Recipe, name: str, path: str, value: Any) -> Recipe:
    """Return the recipe with one setting of a protocol set, for a protocol without a section in recipes."""
    protocol = declared_protocol(name)
    new = overrides.apply(protocol.settings_in(recipe), path, value)
    own = {**recipe.protocols.get(protocol.section, {}), path: getattr(new, path)}
    return replace(recipe, protocols={**recipe.protocols, protocol.section: own})
