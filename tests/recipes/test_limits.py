"""Every number has a limit, and defaults are within their limits."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import pytest

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.pipeline.planning.contenders import resolve_method
from uvlp.recipes import limits, profiles
from uvlp.recipes.schema import Recipe, SynthesisSettings
from uvlp.recipes.setting import check_limits, setting


def unlimited(settings: Any) -> set[str]:
    """Return the fields with numbers but without limits."""
    names = set()
    for field in fields(settings):
        value = getattr(settings, field.name)
        values = value if isinstance(value, tuple) else (value,)
        number = any(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
        if number and field.metadata and field.metadata["least"] is None:
            names.add(field.name)
    return names


SECTIONS = [field.name for field in fields(Recipe) if is_dataclass(getattr(Recipe(), field.name))]
COUNTED = {"ipc", "seeds", "repeats"}
"""Numbers of a recipe with dedicated options, which have their own limits."""


def test_every_number_of_a_recipe_has_a_limit() -> None:
    assert unlimited(Recipe()) == COUNTED
    for section in SECTIONS:
        assert not unlimited(getattr(Recipe(), section)), section
    assert not unlimited(SynthesisSettings())


@pytest.mark.parametrize("name", plugins.names("methods"))
def test_every_number_of_a_method_has_a_limit(name: str) -> None:
    assert not unlimited(plugins.load("methods", name).Settings())


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    share: float = setting(0.5, "of all", least=0, most=1)
    widths: tuple[int, ...] = setting((8, 16), "channels", least=1)
    count: int = setting(3, "how many", most=9)
    way: str = setting("a", "which", choices=("a", "b", ""))
    text: str = setting("", "anything")


@pytest.mark.parametrize(
    ("changes", "field", "allowed"),
    [
        ({"share": 1.5}, "x.share", "0 to 1"),
        ({"share": float("nan")}, "x.share", "0 to 1"),
        ({"widths": (8, 0)}, "x.widths", "1 or more"),
        ({"widths": ()}, "x.widths", "1 or more"),
        ({"count": 10}, "x.count", "up to 9"),
        ({"way": "c"}, "x.way", "a, b, ''"),
    ],
)
def test_value_outside_its_limits_is_refused(changes: Any, field: str, allowed: str) -> None:
    check_limits(Example(), "x")
    with pytest.raises(UvlpError) as refused:
        check_limits(Example(**changes), "x")
    assert field in refused.value.what and refused.value.allowed == allowed


@pytest.mark.parametrize("profile", sorted(profiles.PROFILES))
@pytest.mark.parametrize("name", plugins.names("datasets"))
def test_built_in_recipes_are_within_their_limits(name: str, profile: str) -> None:
    recipe = profiles.apply(plugins.load("datasets", name).recipe(10), profile)
    limits.check(recipe)
    for method in recipe.methods:
        resolve_method(method, recipe)


def test_schedulers_are_those_of_the_sampler() -> None:
    from uvlp.models.sampling.sampler import SCHEDULERS

    (field,) = [each for each in fields(SynthesisSettings) if each.name == "scheduler"]
    assert field.metadata["choices"] == tuple(SCHEDULERS)


@pytest.mark.parametrize("setting", ["image_px", "resolution_px"])
def test_side_must_be_a_multiple_of_the_downsampling_factor(setting: str) -> None:
    recipe = replace(Recipe(), pretrained=True, image_px=64)
    if setting == "image_px":
        recipe = replace(recipe, image_px=60)
    else:
        recipe = replace(recipe, finetune=replace(recipe.finetune, resolution_px=60))
    with pytest.raises(UvlpError) as caught:
        limits.check(recipe)
    assert caught.value.got == 60 and "a multiple of 8" in str(caught.value.allowed)
