"""Variants of methods: combinations, contradictions, and those that equal another method in a run."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from tests.other_packages import importable, install
from tests.pipeline.planning.test_planner import planner
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.datasets.digits import recipe as digits
from uvlp.datasets.imagenette import recipe as imagenette
from uvlp.declarations.method import declared_method
from uvlp.pipeline import names
from uvlp.pipeline.planning.contenders import resolve_method
from uvlp.pipeline.planning.equal_variants import distinct
from uvlp.recipes.schema import Recipe

DECLARED = [
    f"{name}:{variant}" for name in plugins.names("methods") for variant in declared_method(name).variants
]


def of(recipe: Recipe, *specs: str) -> tuple[list[str], tuple[str, ...]]:
    """The methods that run, and the sentences about the others."""
    methods, notes = distinct(replace(recipe, methods=specs))
    return [method.spec for method in methods], notes


def refused(recipe: Recipe, spec: str) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        of(recipe, spec)
    assert caught.value.got == spec
    return caught.value


@pytest.mark.parametrize("spec", DECLARED)
def test_a_variant_changes_what_it_says(spec: str) -> None:
    """In the papers' recipe every variant but those that it uses already differs from its base."""
    base, variant = (resolve_method(name, imagenette(10)) for name in (spec.partition(":")[0], spec))
    equal = (base.settings, base.synthesis) == (variant.settings, variant.synthesis)
    assert equal == (spec == "random:first")
    assert variant.declared.variants[variant.parts[0]].text.startswith(("without ", "with "))


def test_the_order_of_a_combination_does_not_matter() -> None:
    parts = ("alpha=fixed", "no-outliers", "noise=seeded")
    here = planner()
    specs = {"uvlp:" + "+".join(order) for order in permutations(parts)}
    made = [resolve_method(spec, imagenette(10)) for spec in specs]
    (one,) = {(method.spec, method.title) for method in made}
    assert len(specs) == 6 and one == ("uvlp:" + "+".join(parts), f"UVLP ({'+'.join(parts)})")
    assert len({here.distilled(method, 0).key for method in made}) == 1
    run, _ = of(imagenette(10), *specs)
    assert run == [one[0]]


def test_a_combination_has_the_settings_of_all_its_parts() -> None:
    both = resolve_method("uvlp:no-outliers+noise=seeded", imagenette(10))
    one, other = (resolve_method(f"uvlp:{part}", imagenette(10)) for part in both.parts)
    assert (both.settings, both.synthesis) == (one.settings, other.synthesis)
    assert one.synthesis != other.synthesis and one.settings != other.settings


def test_seeded_noise_synthesises_the_same_prototypes() -> None:
    here = planner()
    base, seeded = (resolve_method(spec, imagenette(10)) for spec in ("uvlp", "uvlp:noise=seeded"))
    assert here.prototypes(base, 0).key == here.prototypes(seeded, 0).key
    assert here.distilled(base, 0).key != here.distilled(seeded, 0).key


def test_a_setting_of_the_user_holds_where_no_variant_sets_it() -> None:
    own = replace(digits(10), method={"uvlp": {"alpha": 0.3, "contamination": 0.2}})
    found = resolve_method("uvlp:alpha=fixed+no-outliers", own).settings
    assert (found.search, found.alpha, found.contamination) == ("none", 0.3, 0.0)


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("uvlp:alpha=fixed+alpha=package", ("alpha=fixed", "alpha=package", "search")),
        ("uvlp:alpha=package+no-outliers+alpha=fixed", ("alpha=fixed", "alpha=package", "search")),
        ("uvlp:fusion=three-way+alpha=fixed", ("alpha=fixed", "fusion=three-way")),
        ("uvlp:alpha=package+fusion=three-way", ("alpha=package", "fusion=three-way")),
    ],
)
def test_a_contradiction_names_its_parts(spec: str, parts: tuple[str, ...]) -> None:
    error = refused(digits(10), spec)
    assert all(part in error.what for part in parts) and error.fix


@pytest.mark.parametrize(
    ("spec", "meant"),
    [("uvlp:alpha=fix", "uvlp:alpha=fixed"), ("uvlp:no-outlier", "uvlp:no-outliers"), ("uvlp:", "")],
)
def test_an_unknown_variant_gets_the_nearest_name(spec: str, meant: str) -> None:
    error = refused(digits(10), spec)
    assert "uvlp:top-k=1" in str(error.allowed) and meant in str(error.fix or "")


def test_an_unknown_part_of_a_combination_is_named_alone() -> None:
    with pytest.raises(UvlpError) as caught:
        of(digits(10), "uvlp:no-outliers+top-k=2")
    assert caught.value.got == "uvlp:top-k=2" and "uvlp:top-k=1" in str(caught.value.fix)


def test_a_variant_of_a_method_without_any_and_one_named_twice() -> None:
    assert "no variants" in str(refused(digits(10), "herding:first").allowed)
    assert refused(digits(10), "uvlp:no-outliers+no-outliers").fix


@pytest.mark.parametrize(
    ("recipe", "spec", "same"),
    [
        (digits(50), "uvlp:top-k=1", "uvlp"),
        (digits(10), "uvlp:noise=seeded", "uvlp"),
        (digits(10), "uvlp:noise=seeded+no-outliers", "uvlp:no-outliers"),
        (digits(50), "uvlp:noise=seeded+top-k=1", "uvlp"),
        (imagenette(50), "random:first", "random"),
        (replace(digits(10), method={"uvlp": {"search": "none"}}), "uvlp:alpha=fixed", "uvlp"),
    ],
)
def test_a_variant_that_equals_its_base_is_named_and_not_run(recipe: Recipe, spec: str, same: str) -> None:
    run, (note,) = of(recipe, "full", same, spec)
    assert run == ["full", same]
    assert note.startswith(f"{resolve_method(spec, recipe).spec} equals {same} ") and note.endswith("not run")
    alone, (note,) = of(recipe, spec)
    assert alone == [same] and note.endswith(f"run as {same}")


@pytest.mark.parametrize(
    ("recipe", "spec"),
    [
        (digits(10), "uvlp:top-k=1"),
        (imagenette(10), "uvlp:noise=seeded"),
        (digits(10), "random:first"),
        (digits(10), "uvlp:text=class-name+fusion=three-way"),
        (replace(digits(50), method={"uvlp": {"top_k": 3}}), "uvlp:top-k=1"),
    ],
)
def test_a_variant_with_an_effect_is_run(recipe: Recipe, spec: str) -> None:
    base = spec.partition(":")[0]
    assert of(recipe, base, spec) == ([base, spec], ())


def test_what_another_method_returns_as_effective_is_checked(tmp_path: Path) -> None:
    lines = (
        "REVISION = 1",
        "TITLE = 'Mine'",
        "VARIANTS = {'first': {}}",
        "def select(inputs, settings, progress): ...",
        "def effective(settings, ipc): return {'ipc': ipc}",
    )
    install(tmp_path, "mine", {"mine_acts.py": "\n".join(lines)}, {"methods": {"mine": "mine_acts"}})
    with importable(tmp_path), pytest.raises(UvlpError) as caught:
        of(digits(10), "mine:first")
    assert "effective" in caught.value.what and caught.value.got == {"ipc": 10}


def test_the_note_is_below_the_table_and_the_row_is_left_out() -> None:
    checked = names.check(replace(digits(50), methods=("uvlp:top-k=1", "uvlp")))
    assert checked.recipe.methods == ("uvlp",) and len(checked.notes) == 1
    facts = planner(ipc=50).table(checked.methods, notes=checked.notes).facts
    assert facts["notes"][-1] == checked.notes[0]
    assert {cell["method"] for cell in facts["cells"]} == {"uvlp"}


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ("uvlp", "6cc640b603023e85"),
        ("uvlp:alpha=fixed", "7f1bf0601fd9c524"),
        ("uvlp:alpha=package", "516648398d954f95"),
        ("uvlp:no-outliers", "03eb2c06b4de75a7"),
        ("vlcp:no-outliers", "069134cf1e3f82fd"),
    ],
)
def test_keys_of_images_made_before_there_were_combinations(spec: str, key: str) -> None:
    assert planner().distilled(resolve_method(spec, digits(10)), 0).key == key
