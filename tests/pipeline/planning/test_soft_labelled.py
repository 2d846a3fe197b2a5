"""Methods that read a teacher: their plans, the names of their settings, and notes below tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.pipeline.estimates.recipes import planned
from tests.pipeline.planning.test_planner import planner
from uvlp.artifacts.task import chain
from uvlp.core.errors import UvlpError
from uvlp.datasets import cifar10, digits, imagenet1k, imagenette, tiny_imagenet
from uvlp.pipeline.estimates import assumptions, cards, report
from uvlp.pipeline.planning.contenders import Method, resolve_method
from uvlp.pipeline.planning.planner import Planner
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request
from uvlp.recipes.schema import Recipe

SOFT = ("rded", "sre2l")


def of(here: Planner, *names: str) -> list[Method]:
    return [resolve_method(name, here.recipe) for name in names]


@pytest.mark.parametrize("name", SOFT)
def test_the_teacher_is_trained_once_for_the_method_and_its_students(name: str) -> None:
    here = planner(protocol="rded", networks=("conv3",))
    table = here.table(of(here, name))
    assert {task.stage for task in chain(table)} == {"pixels", "teacher", "sample", "evaluate", "tabulate"}
    assert len({task.key for task in chain(table) if task.stage == "teacher"}) == 1


@pytest.mark.parametrize("name", SOFT)
def test_under_hard_labels_the_teacher_is_trained_for_the_method_alone(name: str) -> None:
    here = planner()
    (method,) = of(here, name)
    made = here.distilled(method, 0)
    assert made.inputs["teacher"].facts["network"] == "conv3"
    soft = planner(protocol="rded")
    assert soft.distilled(method, 0).inputs["teacher"].key == made.inputs["teacher"].key


def test_a_table_with_hard_labels_names_the_methods_that_have_soft_ones() -> None:
    quiet = {"protocol_notes": {}, "evaluate": Recipe().evaluate, "rded": Recipe().rded}
    hard = planner(**quiet)
    soft = planner(protocol="rded", networks=("conv3",), teacher=Recipe().teacher, **quiet)
    (note,) = hard.table(of(hard, "random", *SOFT)).facts["notes"]
    assert note.startswith("RDED, SRe2L are published with the soft labels")
    assert hard.table(of(hard, "random")).facts["notes"] == []
    assert soft.table(of(soft, "random", *SOFT)).facts["notes"] == []


def test_a_table_with_soft_labels_has_what_their_size_depends_on() -> None:
    hard, soft = planner(), planner(protocol="rded", networks=("conv3",))
    rded = soft.recipe.rded
    facts = soft.table(of(soft, "random", "full")).facts
    assert [cell["soft_label_epochs"] for cell in facts["cells"]] == [rded.epochs, rded.epochs_full]
    assert {cell["classes"] for cell in facts["cells"]} == {len(soft.manifest.classes)}
    assert "soft_label_epochs" not in hard.table(of(hard, "random")).facts["cells"][0]


def test_settings_of_a_method_with_the_name_of_a_protocol_have_a_prefix() -> None:
    changed = resolve(Request(dataset="digits", settings=["method.rded.factor=2", "rded.factor=3"]))
    assert changed.rded.factor == 3 and resolve_method("rded", changed).settings.factor == 2
    changed = resolve(Request(dataset="digits", settings=["method.k_center.first=index0"]))
    assert resolve_method("k-center", changed).settings.first == "index0"
    with pytest.raises(UvlpError) as caught:
        resolve(Request(dataset="digits", settings=["method.rdde.factor=2"]))
    assert caught.value.got == "rdde" and "rded" in str(caught.value.fix)
    with pytest.raises(UvlpError) as caught:
        resolve_method("rded", replace(changed, method={"rded": {"factor": 0}}))
    assert "method.rded.factor" in caught.value.what


def test_recipes_have_the_published_teachers_factors_and_schedules() -> None:
    def settings(recipe: Recipe) -> tuple[str, int, int, float]:
        rded, sre2l = (resolve_method(name, recipe).settings for name in SOFT)
        assert rded.teacher == sre2l.teacher
        return rded.teacher, rded.factor, sre2l.iterations, sre2l.lr

    assert settings(cifar10.recipe(10)) == ("resnet18_modified", 1, 1000, 0.25)
    assert settings(tiny_imagenet.recipe(10)) == ("resnet18_modified", 1, 4000, 0.1)
    assert settings(imagenet1k.recipe(10)) == ("resnet18", 2, 4000, 0.25)
    assert settings(imagenette.recipe(10)) == ("", 2, 4000, 0.25)
    assert settings(digits.recipe(10)) == ("", 1, 500, 0.25)


def seconds(method: str, stage: str = "sample") -> float:
    recipe = replace(imagenette.recipe(10), methods=(method,))
    estimate = report.estimate(planned(recipe), cards.named("h200"), workers=2)
    (row,) = [row for row in estimate.rows if row.stage == stage]
    assert row.seconds is not None and row.host_bytes < 10e9
    return row.seconds


def test_estimates_count_crops_and_iterations() -> None:
    flops = assumptions.network("resnet18", 224)
    assert flops is not None
    # 300 images of each class, five crops; 4,000 iterations of 100 images, forward and backward.
    for method, images in (("rded", 10 * 300 * 5), ("sre2l", 4000 * 100 * 3)):
        assert seconds(method) == pytest.approx(images * flops["flops"] / (495e12 * 0.1), rel=1e-6)
