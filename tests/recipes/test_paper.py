"""Recipes of published datasets are complete and agree with the specification, at every profile."""

import pytest

from tests.protocols.rded_subsets import SUBSETS, input_px
from uvlp.core import plugins
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.names import check
from uvlp.pipeline.planning.contenders import resolve_method
from uvlp.recipes import profiles
from uvlp.recipes.evaluation import EvaluateSettings
from uvlp.recipes.schema import Recipe

NAMES = (
    *("imagenette", "imagewoof", "imageidc", "imagenet100"),
    *("imagenet1k", "tiny-imagenet", "cifar10", "cifar100"),
)
SUBSET = {
    "imagenet1k": "imagenet-1k",
    "tiny-imagenet": "tinyimagenet",
    "cifar10": "cifar10",
    "cifar100": "cifar100",
}
SAVED_PX = {"imagenet1k": 224, "tiny-imagenet": 64, "cifar10": 32, "cifar100": 32}


def recipe_of(name: str, ipc: int = 10) -> Recipe:
    recipe: Recipe = plugins.load("datasets", name).recipe(ipc)
    return recipe


def test_every_dataset_has_a_recipe() -> None:
    assert set(plugins.names("datasets")) == {*NAMES, "digits", "folder", "hf"}


@pytest.mark.parametrize("profile", sorted(profiles.PROFILES))
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_resolves_at_every_profile(name: str, profile: str) -> None:
    recipe = profiles.apply(recipe_of(name), profile)
    checked = check(recipe).recipe
    assert checked.dataset == name
    assert checked.pretrained == (profile == "sd15")
    for method in (*checked.methods, "herding", "k-center", "full"):
        resolve_method(method, checked)
    protocol = declared_protocol(checked.protocol)
    for network in checked.networks:
        protocol.check(network, protocol.settings_in(checked))


@pytest.mark.parametrize("name", NAMES)
def test_common_settings_of_the_papers(name: str) -> None:
    recipe = recipe_of(name, 20)
    assert (recipe.ipc, recipe.profile, recipe.image_px) == (20, "sd15", 512)
    assert (recipe.seeds, recipe.repeats) == ((0,), 3)
    assert recipe.caption.captioner == "auto"
    assert recipe.caption.missing == ("empty" if name == "imagewoof" else "stop")
    assert recipe.finetune.resolution_px == (32 if name.startswith("cifar") else 512)
    uvlp, vlcp, d4m = (resolve_method(method, recipe) for method in ("uvlp", "vlcp", "d4m"))
    assert uvlp.synthesis is not None and vlcp.synthesis is not None and d4m.synthesis is not None
    assert (uvlp.synthesis.noise, uvlp.synthesis.size_px) == ("published", 0)
    assert (uvlp.synthesis.strength, uvlp.synthesis.guidance) == (0.75, 10.5)
    assert (vlcp.synthesis.size_px, vlcp.synthesis.noise) == (SAVED_PX.get(name, 256), "derived")
    assert (vlcp.synthesis.strength, vlcp.synthesis.guidance) == (0.7, 10.0)
    assert (d4m.synthesis.size_px, d4m.synthesis.guidance, d4m.synthesis.strength) == (224, 8.0, 0.7)
    assert {method.synthesis.batch for method in (uvlp, vlcp, d4m) if method.synthesis} == {0}
    assert resolve_method("random", recipe).settings.select == "first"
    assert resolve_method("herding", recipe).settings.features == "network"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SUBSET])
def test_hard_label_recipes_are_as_published(name: str) -> None:
    recipe = recipe_of(name)
    assert recipe.protocol == "minimax"
    assert recipe.evaluate == EvaluateSettings()
    assert "resnet-ap-10" in recipe.networks
    settings = resolve_method("vlcp", recipe).settings
    assert (settings.threshold, settings.top_words, settings.contamination) == (0.7, 30, 0.1)


def test_imagewoof_has_the_methods_and_networks_of_its_table() -> None:
    recipe = recipe_of("imagewoof")
    assert recipe.networks == ("convnet-6", "resnet-ap-10", "resnet-18")
    assert set(recipe.methods) == {"full", "k-center", "herding", "random", "d4m", "vlcp", "uvlp"}


@pytest.mark.parametrize("name", SUBSET)
def test_soft_label_recipes_have_the_published_input_and_teacher(name: str) -> None:
    recipe = recipe_of(name)
    network = recipe.teacher.network
    assert recipe.protocol == "rded"
    assert recipe.networks == (network,)
    assert recipe.rded.size_px == input_px(SUBSET[name], network, network)
    classes = {"cifar10": 10, "cifar100": 100, "tiny-imagenet": 200, "imagenet1k": 1000}
    assert SUBSETS[SUBSET[name]].classes == classes[name]
    assert recipe.rded.epochs == 500
    assert recipe.rded.factor == (1 if name.startswith("cifar") else 2)


def test_teachers_have_the_published_accuracy() -> None:
    teachers = {name: recipe_of(name).teacher for name in SUBSET}
    published = {name: (entry.source, entry.published_pct) for name, entry in teachers.items()}
    assert published == {
        "imagenet1k": ("torchvision", 69.76),
        "tiny-imagenet": ("trained", 61.98),
        "cifar10": ("trained", 93.86),
        "cifar100": ("trained", 72.27),
    }
    # Teachers of small profiles are not the published ones.
    assert profiles.apply(recipe_of("cifar10"), "nano").teacher.published_pct == 0


def test_cifar10_has_the_settings_of_vlcp() -> None:
    settings = resolve_method("vlcp", recipe_of("cifar10")).settings
    assert (settings.threshold, settings.contamination, settings.top_words) == (0.3, 0.0, 30)
