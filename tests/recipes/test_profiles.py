"""Every profile applied to every recipe: published or small models, and consistent sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.datasets import digits
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.names import check
from uvlp.pipeline.planning.contenders import resolve_method
from uvlp.recipes import from_scratch, profiles
from uvlp.recipes.evaluation import EvaluateSettings
from uvlp.recipes.schema import CaptionSettings, FinetuneSettings, Recipe

PAPER = Recipe(
    dataset="imagewoof",
    ipc=20,
    profile="sd15",
    methods=("random", "k-center", "d4m", "uvlp"),
    networks=("convnet-6", "resnet-ap-10", "resnet-18"),
    seeds=(0, 1, 2),
    data="data",
    variant="ilsvrc",
    pretrained=True,
    image_px=512,
    caption=CaptionSettings(captioner="llava", missing="empty"),
    method={
        "k-center": {"features": "network"},
        "uvlp": {"order": "published", "synthesis": {"noise": "published", "strength": 0.7}},
    },
)


def recipes() -> Iterator[Recipe]:
    """Yield the recipes of every dataset at two IPCs, and one of the papers."""
    for name in plugins.names("datasets"):
        if (plugins.PACKAGE / "datasets" / f"{name.replace('-', '_')}.py").is_file():
            for ipc in (10, 50):
                yield replace(plugins.load("datasets", name).recipe(ipc), dataset=name)
    yield PAPER


ALL = [
    pytest.param(recipe, profile, id=f"{recipe.dataset}-{recipe.ipc}-{profile}")
    for recipe in recipes()
    for profile in profiles.PROFILES
]


@pytest.mark.parametrize(("recipe", "profile"), ALL)
def test_names_exist_and_networks_fit(recipe: Recipe, profile: str) -> None:
    applied = check(replace(profiles.apply(recipe, profile), variant="")).recipe
    protocol = declared_protocol(applied.protocol)
    for network in applied.networks:
        protocol.check(network, protocol.settings_in(applied))
    for spec in {*applied.methods, *plugins.names("methods")}:
        method = resolve_method(spec, applied)
        if method.synthesis is not None:
            assert int(method.synthesis.steps * method.synthesis.strength) >= 1


@pytest.mark.parametrize(("recipe", "profile"), ALL)
def test_sizes_fit_published_and_small_models(recipe: Recipe, profile: str) -> None:
    applied = profiles.apply(recipe, profile)
    assert applied.profile == profile and applied.pretrained == (profile == "sd15")
    assert applied.image_px == (512 if applied.pretrained else 32)
    assert applied.caption.captioner in (("auto", "llava") if applied.pretrained else ("auto", "strokes"))
    for name in ("dataset", "data", "variant", "ipc", "methods", "seeds"):
        assert getattr(applied, name) == getattr(recipe, name)
    if not applied.pretrained:
        assert max(applied.evaluate.size_px, applied.rded.size_px) <= applied.image_px
        assert applied.models_note or applied.note or recipe.dataset == "digits"


@pytest.mark.parametrize(("recipe", "profile"), ALL)
def test_small_models_can_be_built(recipe: Recipe, profile: str) -> None:
    applied = profiles.apply(recipe, profile)
    clip, coder, unet = applied.embedder, applied.autoencoder, applied.diffuser
    assert clip.text_width % clip.text_heads == 0 and len(clip.layers) == 4
    assert all(channels % 8 == 0 for channels in coder.channels)
    assert all(channels % 16 == 0 for channels in unet.channels)
    assert 1 <= unet.attention_levels <= len(unet.channels)
    assert applied.image_px % 2 ** (len(coder.channels) + len(unet.channels) - 2) == 0


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_applying_a_profile_twice_changes_nothing(profile: str) -> None:
    once = profiles.apply(from_scratch.recipe(10), profile)
    assert profiles.apply(once, profile) == once


def test_digits_and_folders_have_profile_tiny() -> None:
    for module in (digits, from_scratch):
        assert profiles.apply(module.recipe(10), "tiny") == module.recipe(10)


def test_published_dataset_from_scratch_keeps_only_its_captions_rule() -> None:
    applied = profiles.apply(PAPER, "tiny")
    assert applied.caption == CaptionSettings(captioner="auto", missing="empty")
    assert applied.method == from_scratch.recipe(20).method and applied.networks == ("convnet-3",)
    assert applied.protocol == "minimax" and applied.finetune == FinetuneSettings()


def test_digits_with_published_models_are_not_flipped() -> None:
    applied = profiles.apply(digits.recipe(10), "sd15")
    assert not applied.finetune.random_flip and applied.evaluate == EvaluateSettings(flip=0.0)
    published = resolve_method("uvlp", Recipe(synthesis={"batch": 0})).synthesis
    assert resolve_method("uvlp", applied).synthesis == published
    assert profiles.apply(from_scratch.recipe(10), "sd15").finetune.random_flip
    assert profiles.apply(PAPER, "sd15") == PAPER


def test_profile_small_uses_ddim_and_has_a_note() -> None:
    applied = profiles.apply(PAPER, "small")
    synthesis = resolve_method("uvlp", applied).synthesis
    assert synthesis is not None
    assert (synthesis.scheduler, synthesis.steps, synthesis.noise) == ("ddim", 50, "derived")
    assert "not the papers' models" in applied.models_note
    assert {part.precision for part in (applied.embedder, applied.autoencoder, applied.diffuser)} == {"auto"}


def test_unknown_profile_suggests_the_nearest() -> None:
    with pytest.raises(UvlpError) as caught:
        profiles.apply(PAPER, "smal")
    assert (caught.value.got, caught.value.allowed) == ("smal", "nano, sd15, small, tiny")
    assert "'small'" in str(caught.value.fix)


def test_limits_agree_with_the_models() -> None:
    from uvlp.models import autoencoder, diffuser
    from uvlp.recipes import limits

    assert limits.AUTOENCODER_GROUPS == autoencoder.NORM_GROUPS
    assert limits.DIFFUSER_GROUPS == diffuser.NORM_GROUPS
