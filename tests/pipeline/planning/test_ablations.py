"""Ablations of a method: which are run, which are not, and the table that compares them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.pipeline.planning.test_planner import planner
from uvlp.artifacts.task import chain
from uvlp.core.errors import UvlpError
from uvlp.datasets.digits import recipe as digits
from uvlp.datasets.imagenette import recipe as imagenette
from uvlp.declarations.method import declared_method
from uvlp.pipeline import names
from uvlp.pipeline.planning.ablations import Ablated, ablations, removed
from uvlp.recipes.schema import Recipe

SINGLE = [f"uvlp:{variant}" for variant in declared_method("uvlp").variants]


def of(recipe: Recipe, method: str, *, pairs: bool = False) -> tuple[list[str], tuple[str, ...]]:
    methods, notes = ablations(recipe, Ablated(method=method, pairs=pairs))
    return [each.spec for each in methods], notes


def test_the_method_is_followed_by_every_single_variant() -> None:
    assert of(imagenette(10), "uvlp") == (["uvlp", *SINGLE], ())


def test_variants_that_equal_the_method_are_named_and_not_run() -> None:
    specs, notes = of(digits(50), "uvlp")
    left_out = ["uvlp:top-k=1", "uvlp:noise=seeded"]
    assert specs == ["uvlp", *(spec for spec in SINGLE if spec not in left_out)]
    assert [note.split(" ")[0] for note in notes] == left_out and all("not run" in note for note in notes)


def test_pairs_leave_out_those_that_contradict_themselves_and_name_them() -> None:
    specs, (note,) = of(imagenette(10), "uvlp", pairs=True)
    contradicting = [
        "uvlp:alpha=fixed+alpha=package",
        "uvlp:alpha=fixed+fusion=three-way",
        "uvlp:alpha=package+fusion=three-way",
    ]
    assert specs[: len(SINGLE) + 1] == ["uvlp", *SINGLE]
    assert len(specs) == 1 + len(SINGLE) + len(SINGLE) * (len(SINGLE) - 1) // 2 - len(contradicting)
    assert not {*contradicting} & {*specs} and note.endswith(": " + ", ".join(contradicting))


def test_a_pair_that_equals_a_single_ablation_is_not_run() -> None:
    specs, notes = of(digits(10), "uvlp", pairs=True)
    assert not any("noise=seeded" in spec for spec in specs) and len(specs) == len({*specs})
    assert "uvlp:no-outliers+noise=seeded equals uvlp:no-outliers " in "; ".join(notes)


def test_a_method_with_a_variant_loses_its_other_parts() -> None:
    specs, (note,) = of(imagenette(10), "uvlp:alpha=fixed")
    assert specs[0] == "uvlp:alpha=fixed" and "uvlp:alpha=fixed+no-outliers" in specs
    assert all("alpha=fixed" in spec for spec in specs) and "alpha=package" in note


def test_a_row_says_what_it_lacks_of_the_method() -> None:
    methods, _ = ablations(imagenette(10), Ablated(method="uvlp:no-outliers"))
    texts = removed(methods)
    assert [*texts] == [method.spec for method in methods[1:]]
    variants = declared_method("uvlp").variants
    assert texts["uvlp:no-outliers+top-k=1"] == variants["top-k=1"].text


@pytest.mark.parametrize(
    ("method", "got"),
    [
        *(("herding", "herding"), ("full", "full"), ("uvpl", "uvpl"), ("uvlp:x", "uvlp:x")),
        *(("idc-1", "idc-1"), ("idc-1:cifar", "idc-1:cifar")),  # its variants are settings for other data
    ],
)
def test_what_cannot_be_ablated(method: str, got: str) -> None:
    with pytest.raises(UvlpError) as caught:
        of(digits(10), method)
    assert caught.value.got == got and caught.value.fix


def test_a_method_that_no_variant_changes() -> None:
    with pytest.raises(UvlpError) as caught:
        of(imagenette(10), "random")
    assert caught.value.got == "random:first"


def test_the_table_says_what_is_ablated_and_shares_everything_else() -> None:
    asked = Ablated(method="uvlp")
    checked = names.check(digits(10), asked)
    here = planner()
    table = here.table(checked.methods, notes=checked.notes, ablated=checked.ablated)
    assert table.facts["name"] == "digits-ipc10-uvlp-ablations"
    assert table.facts["ablations"] == removed(checked.methods)
    plain = here.table(checked.methods, notes=checked.notes)
    assert "ablations" not in plain.facts and plain.key != table.key
    assert {task.key for task in chain(plain)} - {plain.key} == {task.key for task in chain(table)} - {
        table.key
    }


@pytest.mark.parametrize(
    ("method", "pairs", "name"),
    [
        ("uvlp", True, "digits-ipc10-uvlp-ablations-pairs"),
        ("uvlp:alpha=fixed", False, "digits-ipc10-uvlp-alpha-fixed-ablations"),
    ],
)
def test_names_of_tables(method: str, pairs: bool, name: str) -> None:
    checked = names.check(replace(digits(10)), Ablated(method=method, pairs=pairs))
    assert planner().table(checked.methods, ablated=checked.ablated).facts["name"] == name
