"""What gets a row in a table: a method with its settings, or somebody's image folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from uvlp.core.errors import UvlpError
from uvlp.declarations.method import MethodDeclaration, declared_method
from uvlp.declarations.protocol import declared_protocol
from uvlp.recipes import overrides
from uvlp.recipes.schema import Recipe, SynthesisSettings
from uvlp.recipes.setting import check_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method as asked for: `uvlp:no-outliers` with its resolved settings."""

    spec: str
    name: str
    declared: MethodDeclaration
    settings: Any
    synthesis: SynthesisSettings | None

    @property
    def title(self) -> str:
        """Name for readers, with the variant."""
        _, _, variant = self.spec.partition(":")
        return f"{self.declared.title} ({variant})" if variant else self.declared.title

    @property
    def whole_set(self) -> bool:
        """Whether the method's result is the training set itself."""
        return self.declared.whole_set

    @property
    def features(self) -> tuple[str, ...]:
        """The parts of the features that it reads."""
        return self.declared.reads(self.settings)

    def has(self, seed: int) -> bool:
        """Whether there are images of that seed: of every one."""
        return True


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Image folders that anyone made, in the place of a method: one for all seeds, or one per seed.

    Attributes:
        spec: as they were given.
        title: name for readers.
        paths: by distillation seed the folder as it was given.
        origins: by seed where it lies.
        facts: by seed what decides about the images taken from it (`pipeline/folders/images.py`).
    """

    spec: str
    title: str
    paths: Mapping[int, str]
    origins: Mapping[int, str]
    facts: Mapping[int, Mapping[str, Any]]
    whole_set: ClassVar[bool] = False

    def has(self, seed: int) -> bool:
        """Whether there are images of that seed."""
        return seed in self.facts

    @property
    def several(self) -> bool:
        """Whether the seeds have folders of their own."""
        return len(set(self.origins.values())) > 1


def resolve_method(spec: str, recipe: Recipe) -> Method:
    """Read the plug-in, apply the variant and the recipe's changes to its settings.

    Raises:
        UvlpError: unknown method, variant or setting, or a setting that no run could use.
    """
    name, _, variant = spec.partition(":")
    declared = declared_method(name)
    name = declared.origin.name
    chosen: dict[str, Any] = dict(recipe.method.get(name, {}))
    if variant:
        if variant not in declared.variants:
            known = ", ".join(f"{name}:{known}" for known in declared.variants) or f"{name} has no variants"
            raise UvlpError("unknown variant of a method", got=spec, allowed=known)
        chosen.update(declared.variants[variant])
    synthesis = declared.synthesis
    own = chosen.pop("synthesis", {})
    if synthesis is not None:
        synthesis = overrides.merge(synthesis, {**recipe.synthesis, **own})
        check_limits(synthesis, f"{name}.synthesis")
    settings = overrides.merge(declared.settings(), chosen)
    check_limits(settings, name)
    return Method(spec=spec, name=name, declared=declared, settings=settings, synthesis=synthesis)


def set_method(recipe: Recipe, name: str, path: str, text: str) -> Recipe:
    """The recipe with one setting of a method set from ``text``, by its dotted path below the method's name.

    Raises:
        UvlpError: no such setting, or the text does not fit its type.
    """
    declared = declared_method(name)
    own = dict(recipe.method.get(name, {}))
    first, _, rest = path.partition(".")
    if first == "synthesis" and declared.synthesis is not None:
        new = overrides.apply(declared.synthesis, rest, text)
        own["synthesis"] = {**own.get("synthesis", {}), rest: getattr(new, rest)}
    else:
        new = overrides.apply(declared.settings(), path, text)
        own[first] = getattr(new, first)
    return replace(recipe, method={**recipe.method, name: own})


def set_protocol(recipe: Recipe, name: str, path: str, text: str) -> Recipe:
    """The same for a protocol that has no section of its own in a recipe."""
    protocol = declared_protocol(name)
    new = overrides.apply(protocol.settings_in(recipe), path, text)
    own = {**recipe.protocols.get(protocol.section, {}), path: getattr(new, path)}
    return replace(recipe, protocols={**recipe.protocols, protocol.section: own})
