"""Every setting that could be wrong has a limit, and the defaults are within theirs."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.pipeline.contenders import resolve_method
from uvlp.recipes import limits, profiles
from uvlp.recipes.schema import Recipe, SynthesisSettings


def checkable(settings: Any) -> set[str]:
    """Fields that hold numbers."""
    found = set()
    for field in fields(settings):
        value = getattr(settings, field.name)
        values = value if isinstance(value, tuple) else (value,)
        if any(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
            found.add(field.name)
    return found


@pytest.mark.parametrize("section", sorted(limits.SECTIONS))
def test_every_number_of_a_section_has_a_limit(section: str) -> None:
    assert checkable(getattr(Recipe(), section)) <= set(limits.SECTIONS[section])


def test_every_number_of_a_synthesis_has_a_limit() -> None:
    assert checkable(SynthesisSettings()) <= set(limits.SYNTHESIS)


@pytest.mark.parametrize("name", plugins.names("methods"))
def test_every_setting_of_a_method_has_a_limit(name: str) -> None:
    module = plugins.load("methods", name)
    assert {field.name for field in fields(module.Settings)} == set(getattr(module, "LIMITS", {}))


@pytest.mark.parametrize("profile", sorted(profiles.PROFILES))
@pytest.mark.parametrize("name", plugins.names("datasets"))
def test_what_we_ship_is_within_its_limits(name: str, profile: str) -> None:
    recipe = profiles.apply(plugins.load("datasets", name).recipe(10), profile)
    limits.check(recipe)
    for method in recipe.methods:
        resolve_method(method, recipe.method)


def test_the_schedulers_are_those_of_the_sampler() -> None:
    from uvlp.models.sampling.sampler import SCHEDULERS

    assert limits.SYNTHESIS["scheduler"] == tuple(SCHEDULERS)


@pytest.mark.parametrize("setting", ["image_px", "resolution_px"])
def test_stable_diffusion_needs_whole_latents(setting: str) -> None:
    recipe = replace(Recipe(), pretrained=True, image_px=64)
    if setting == "image_px":
        recipe = replace(recipe, image_px=60)
    else:
        recipe = replace(recipe, finetune=replace(recipe.finetune, resolution_px=60))
    with pytest.raises(UvlpError, match=re.escape("a multiple of 8")):
        limits.check(recipe)
