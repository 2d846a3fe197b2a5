"""Counted operations agree with their record and with the specification."""

from __future__ import annotations

import json

import pytest

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core.plugins import PACKAGE, load, names
from uvlp.datasets import digits
from uvlp.pipeline.estimates import assumptions, sizes
from uvlp.pipeline.estimates.assumptions import PUBLISHED, network, small_models
from uvlp.pipeline.estimates.distilling import unet_calls
from uvlp.recipes.schema import DiffuserSettings, Recipe, SynthesisSettings

RECORD = PACKAGE.parent / "paper_tables" / "measured" / "benchmarks" / "flops.json"


def test_published_models_have_the_counts_of_the_record() -> None:
    rows = json.loads(RECORD.read_text(encoding="utf-8"))
    assert PUBLISHED["flops"] == {name: row["flops"] for name, row in rows.items()}, (
        "run python -m benchmarks.costs.count_costs"
    )
    assert PUBLISHED["activation_bytes"] == {name: row["activation_bytes"] for name, row in rows.items()}
    assert 2 * PUBLISHED["unet_by_side"]["64"] == PUBLISHED["flops"]["unet_pair"]


@pytest.mark.parametrize(
    ("name", "size_px", "giga_multiply_adds", "parameters"),
    [
        ("convnet-6", 224, 2.637, 754_570),
        ("resnet-18", 224, 1.814, 11_181_642),
        ("resnet-ap-10", 224, 1.821, 4_910_922),
        ("resnet-ap-10", 32, 0.442, 4_903_242),
        ("convnet-6", 64, 0.215, 744_330),
        ("resnet18_modified", 32, 0.555, 11_173_962),
    ],
)
def test_networks_agree_with_the_specification(
    name: str, size_px: int, giga_multiply_adds: float, parameters: int
) -> None:
    # evaluation.md 2.3.
    counts = network(name, size_px)
    assert counts is not None
    assert counts["flops"] / 2e9 == pytest.approx(giga_multiply_adds, abs=6e-4)
    assert counts["parameters"] == parameters


def test_training_costs_agree_with_the_specification() -> None:
    # evaluation.md 7: ConvNet-6 at IPC 10: 3.16 PFLOP of training, 2.07 of validation.
    counts = network("convnet-6", 224)
    assert counts is not None
    assert 200_000 * 3 * counts["flops"] == pytest.approx(3.16e15, rel=5e-3)
    assert 392_500 * counts["flops"] == pytest.approx(2.07e15, rel=5e-3)


def test_uncounted_sizes_give_none() -> None:
    assert network("resnet-ap-10", 225) is None
    assert small_models(Recipe(diffuser=DiffuserSettings(channels=(32, 96)))) is None


def test_every_profile_with_small_models_is_counted() -> None:
    from uvlp.recipes import profiles

    for name in profiles.PROFILES:
        recipe = profiles.apply(digits.recipe(10), name)
        if not recipe.pretrained:
            assert small_models(recipe) is not None, "run python -m benchmarks.costs.count_costs"


def test_uncounted_sides_are_scaled_by_area() -> None:
    assert assumptions.unet_flops(16) == PUBLISHED["unet_by_side"]["64"] / 16
    assert assumptions.encode_flops(512) == PUBLISHED["flops"]["vae_encode"]


@pytest.mark.parametrize(
    ("strength", "scheduler", "calls"),
    [(0.75, "pndm", 38), (0.7, "pndm", 36), (1.0, "pndm", 51), (0.02, "pndm", 2), (0.75, "ddim", 37)],
)
def test_unet_calls_follow_the_schedule(strength: float, scheduler: str, calls: int) -> None:
    # methods.md D.3.
    assert unet_calls(SynthesisSettings(strength=strength, scheduler=scheduler)) == calls


def test_expected_sizes_agree_with_the_datasets() -> None:
    for name in ("imagenette", "imagewoof"):
        known = sizes.lookup(Recipe(dataset=name))
        assert known is not None
        facts = load("datasets", name).SET
        assert (known.train, known.val) == facts.counts
        assert known.archive_bytes == facts.archive.bytes
        ilsvrc = sizes.lookup(Recipe(dataset=name, variant="ilsvrc"))
        assert ilsvrc is not None and (ilsvrc.train, ilsvrc.val) == facts.ilsvrc_counts


def test_every_named_dataset_has_a_placeholder_of_its_size() -> None:
    for name in set(names("datasets")) - {"folder", "hf"}:
        known = sizes.lookup(Recipe(dataset=name))
        assert known is not None
        manifest = sizes.placeholder(DatasetSpec(name=name), known)
        assert (manifest.count("train"), manifest.count("val")) == (known.train, known.val)
        assert len(manifest.classes) == known.classes
        assert sizes.of_manifest(manifest).train == known.train
