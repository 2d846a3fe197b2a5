"""Every profile applied to every recipe: published models or own ones, and sizes that fit together."""

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
    """Those of every dataset at two sizes, and one as the papers need it."""
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
def test_the_names_exist_and_the_networks_fit(recipe: Recipe, profile: str) -> None:
    found = check(replace(profiles.apply(recipe, profile), variant="")).recipe
    protocol = declared_protocol(found.protocol)
    for network in found.networks:
        protocol.check(network, protocol.settings_in(found))
    for spec in {*found.methods, *plugins.names("methods")}:
        method = resolve_method(spec, found)
        if method.synthesis is not None:
            assert int(method.synthesis.steps * method.synthesis.strength) >= 1


@pytest.mark.parametrize(("recipe", "profile"), ALL)
def test_published_models_come_with_their_sizes_and_own_ones_with_theirs(
    recipe: Recipe, profile: str
) -> None:
    found = profiles.apply(recipe, profile)
    assert found.profile == profile and found.pretrained == (profile == "sd15")
    assert found.image_px == (512 if found.pretrained else 32)
    assert found.caption.captioner in (("auto", "llava") if found.pretrained else ("auto", "strokes"))
    for name in ("dataset", "data", "variant", "ipc", "methods", "seeds"):
        assert getattr(found, name) == getattr(recipe, name)
    if not found.pretrained:
        assert max(found.evaluate.size_px, found.rded.size_px) <= found.image_px
        assert found.models_note or found.note or recipe.dataset == "digits"


@pytest.mark.parametrize(("recipe", "profile"), ALL)
def test_the_layers_of_the_small_models_can_be_built(recipe: Recipe, profile: str) -> None:
    found = profiles.apply(recipe, profile)
    clip, coder, unet = found.embedder, found.autoencoder, found.diffuser
    assert clip.text_width % clip.text_heads == 0 and len(clip.layers) == 4
    assert all(channels % 8 == 0 for channels in coder.channels)
    assert all(channels % 16 == 0 for channels in unet.channels)
    assert 1 <= unet.attention_levels <= len(unet.channels)
    assert found.image_px % 2 ** (len(coder.channels) + len(unet.channels) - 2) == 0


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_a_profile_twice_is_the_profile_once(profile: str) -> None:
    once = profiles.apply(from_scratch.recipe(10), profile)
    assert profiles.apply(once, profile) == once


def test_digits_and_folders_are_tiny_as_they_are() -> None:
    for module in (digits, from_scratch):
        assert profiles.apply(module.recipe(10), "tiny") == module.recipe(10)


def test_a_published_dataset_from_scratch_is_an_image_folder_with_its_own_captions_rule() -> None:
    found = profiles.apply(PAPER, "tiny")
    assert found.caption == CaptionSettings(captioner="auto", missing="empty")
    assert found.method == from_scratch.recipe(20).method and found.networks == ("convnet-3",)
    assert found.protocol == "minimax" and found.finetune == FinetuneSettings()


def test_digits_with_published_models_are_not_mirrored() -> None:
    found = profiles.apply(digits.recipe(10), "sd15")
    assert not found.finetune.random_flip and found.evaluate == EvaluateSettings(flip=0.0)
    published = resolve_method("uvlp", Recipe(synthesis={"batch": 0})).synthesis
    assert resolve_method("uvlp", found).synthesis == published
    assert profiles.apply(from_scratch.recipe(10), "sd15").finetune.random_flip
    assert profiles.apply(PAPER, "sd15") == PAPER


def test_small_is_deterministically_sampled_and_says_what_it_is() -> None:
    found = profiles.apply(PAPER, "small")
    synthesis = resolve_method("uvlp", found).synthesis
    assert synthesis is not None
    assert (synthesis.scheduler, synthesis.steps, synthesis.noise) == ("ddim", 50, "derived")
    assert "not the papers' models" in found.models_note
    assert {part.precision for part in (found.embedder, found.autoencoder, found.diffuser)} == {"auto"}


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UvlpError, match="unknown profile: got 'smal'; allowed: nano, sd15, small, tiny; did"):
        profiles.apply(PAPER, "smal")


def test_the_limits_know_how_networks_are_built() -> None:
    from uvlp.models import autoencoder, diffuser
    from uvlp.recipes import limits

    assert limits.AUTOENCODER_GROUPS == autoencoder.NORM_GROUPS
    assert limits.DIFFUSER_GROUPS == diffuser.NORM_GROUPS
