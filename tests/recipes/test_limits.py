"""Every setting that could be wrong has a limit, and the defaults are within theirs."""

from __future__ import annotations

import re
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
    """Fields that hold numbers and have no limits."""
    found = set()
    for field in fields(settings):
        value = getattr(settings, field.name)
        values = value if isinstance(value, tuple) else (value,)
        number = any(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
        if number and field.metadata and field.metadata["least"] is None:
            found.add(field.name)
    return found


SECTIONS = [field.name for field in fields(Recipe) if is_dataclass(getattr(Recipe(), field.name))]
COUNTED = {"ipc", "seeds", "repeats"}
"""Numbers of a recipe that the command line has words of its own for, and limits there."""


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
def test_a_value_outside_of_its_limits_is_refused(changes: Any, field: str, allowed: str) -> None:
    check_limits(Example(), "x")
    with pytest.raises(UvlpError) as refused:
        check_limits(Example(**changes), "x")
    assert field in refused.value.what and refused.value.allowed == allowed


@pytest.mark.parametrize("profile", sorted(profiles.PROFILES))
@pytest.mark.parametrize("name", plugins.names("datasets"))
def test_what_we_ship_is_within_its_limits(name: str, profile: str) -> None:
    recipe = profiles.apply(plugins.load("datasets", name).recipe(10), profile)
    limits.check(recipe)
    for method in recipe.methods:
        resolve_method(method, recipe)


def test_the_schedulers_are_those_of_the_sampler() -> None:
    from uvlp.models.sampling.sampler import SCHEDULERS

    (field,) = [each for each in fields(SynthesisSettings) if each.name == "scheduler"]
    assert field.metadata["choices"] == tuple(SCHEDULERS)


@pytest.mark.parametrize("setting", ["image_px", "resolution_px"])
def test_stable_diffusion_needs_whole_latents(setting: str) -> None:
    recipe = replace(Recipe(), pretrained=True, image_px=64)
    if setting == "image_px":
        recipe = replace(recipe, image_px=60)
    else:
        recipe = replace(recipe, finetune=replace(recipe.finetune, resolution_px=60))
    with pytest.raises(UvlpError, match=re.escape("a multiple of 8")):
        limits.check(recipe)
