"""An explanation contains every setting with its source, in the order of the plan of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.other_packages import importable, install
from tests.pipeline.estimates.recipes import planned
from uvlp.cli.commands.explain import recipes
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.declarations.method import declared_method
from uvlp.pipeline.estimates import cards, report
from uvlp.pipeline.explanation import page
from uvlp.pipeline.explanation.explain import Explanation, explain
from uvlp.pipeline.explanation.settings import Setting
from uvlp.pipeline.planning.contenders import prefix
from uvlp.recipes.profiles import PROFILES
from uvlp.recipes.schema import Recipe

METHODS = plugins.names("methods")
MINE = '''"""Mine: as another one does."""
from dataclasses import dataclass
from uvlp.recipes.setting import setting
REVISION, TITLE = 1, "Mine"
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings."""
    skip: int = setting(3, "images left out", "my paper, 2")
def select(inputs, settings, progress):
    """Rows."""
'''


def explained(
    method: str,
    dataset: str = "digits",
    ipc: int = 10,
    profile: str | None = None,
    settings: Sequence[str] = (),
    protocol: str | None = None,
    networks: Sequence[str] = (),
) -> Explanation:
    changes: dict[str, dict[str, Any]] = {
        f"profile {profile}": {"profile": profile},
        "--protocol, --network": {"protocol": protocol, "networks": list(networks) or None},
        "--set": {"settings": list(settings) or None},
    }
    return explain(list(recipes(method, dataset, ipc, changes)), Path("no store"))


def by_path(explanation: Explanation) -> dict[str, Setting]:
    steps = (setting for step in explanation.steps for setting in step.settings)
    return {setting.path: setting for setting in (*explanation.run, *steps)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dataset", ["digits", "imagenette", "cifar10"])
def test_every_setting_of_every_step_appears_with_its_source(method: str, dataset: str) -> None:
    explanation = explained(method, dataset)
    found = by_path(explanation)
    text = " ".join(" ".join(page.lines(explanation)).split())
    plan = planned(recipe_of(method, dataset))
    for task in plan.tasks:
        names = [each.name for each in fields(task.settings) if each.metadata] if task.settings else []
        stage = "finetune" if task.stage == "encode" else task.stage  # a part of it that seeds share
        shown = [step for step in explanation.steps if step.stage == stage]
        assert not names or any(
            [setting.path.rpartition(".")[2] for setting in step.settings] == names for step in shown
        )
    for setting in found.values():
        assert setting.source and f"{page.brief(setting.source)}]" in text, setting.path
        assert f"{setting.path.rpartition('.')[2]} " in text, setting.path


def recipe_of(method: str, dataset: str) -> Recipe:
    return list(recipes(method, dataset, 10, {}))[-1][1]


@pytest.mark.parametrize("method", METHODS)
def test_a_default_of_the_method_has_the_source_that_its_file_declares(method: str) -> None:
    found = by_path(explained(method))
    declared = declared_method(method)
    of_profile = declared.profiles.get("tiny", {})
    for field in fields(declared.settings):
        if field.name in of_profile:
            continue
        setting = found[f"{prefix(method)}{method}.{field.name}"]
        assert setting.value == field.default and setting.source == field.metadata["source"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_step_comes_after_those_that_make_its_inputs(method: str, profile: str) -> None:
    explanation = explained(method, "imagenette", profile=profile)
    first: dict[str, int] = {}
    for row, step in enumerate(explanation.steps):
        first.setdefault(step.stage, row)
    plan = planned(explanation.recipe)
    for task in plan.tasks:
        for earlier in task.hashed.values():
            if earlier.stage != task.stage:
                assert first[earlier.stage] < first[task.stage]


def test_the_steps_are_those_of_the_plan() -> None:
    explanation = explained("uvlp")
    plan = planned(explanation.recipe)
    assert sum(step.artifacts for step in explanation.steps) == len(plan.tasks)


def test_a_changed_setting_names_what_changed_it_last() -> None:
    found = by_path(
        explained("uvlp:no-outliers", profile="nano", settings=["uvlp.top_k=3", "evaluate.epochs=7"])
    )
    assert found["uvlp.top_k"].source == "--set"
    assert found["uvlp.contamination"].source == "variant no-outliers"
    assert found["evaluate.epochs"].source == "--set"
    assert found["evaluate.validations"].source == "profile nano"
    assert found["evaluate.size_px"].source == "recipe of digits"
    assert (found["uvlp.top_k"].value, found["uvlp.top_k"].default) == (3, 0)


def test_a_step_that_an_option_adds_has_the_settings_of_the_recipe() -> None:
    explanation = explained("herding", settings=["herding.features=network"])
    (step,) = [step for step in explanation.steps if step.stage == "represent"]
    assert {setting.source for setting in step.settings if setting.changed} == {"recipe of digits"}


def test_the_papers_recipe_differs_from_defaults_but_not_from_itself() -> None:
    found = by_path(explained("uvlp", "imagenette"))
    assert found["uvlp.order"].changed and not found["uvlp.order"].departs
    noise = found["uvlp.synthesis.noise"]
    assert noise.value == "published" and not noise.departs


def test_a_setting_departs_from_the_papers_recipe() -> None:
    found = by_path(explained("uvlp"))
    assert found["uvlp.synthesis.steps"].published == 50 and found["uvlp.synthesis.steps"].departs
    assert not found["uvlp.prior_weight"].departs


def test_a_default_that_is_a_numbered_deviation_departs() -> None:
    assert by_path(explained("d4m", "imagenette"))["d4m.flush"].departs
    assert by_path(explained("d4m:reference-flush", "imagenette"))["d4m.flush"].source != "D-05"


def test_a_method_has_synthesis_defaults_of_its_own() -> None:
    strength = by_path(explained("vlcp", "imagenette"))["vlcp.synthesis.strength"]
    assert (strength.value, strength.default, strength.source) == (0.7, 0.7, "methods.md B")


def test_small_models_are_no_step_of_the_papers() -> None:
    tiny = {step.parts: step.published for step in explained("uvlp").steps if step.stage == "finetune"}
    assert set(tiny.values()) == {False} and len(tiny) == 3
    (sd15,) = [step for step in explained("uvlp", "imagenette").steps if step.stage == "finetune"]
    assert sd15.published and sd15.parts == ("stable-diffusion",)


def test_the_deviations_are_those_of_the_method_and_of_the_run() -> None:
    def numbers(method: str, dataset: str) -> set[str]:
        return {each.number for each in explained(method, dataset).deviations}

    assert "D-05" in numbers("d4m", "digits") - numbers("uvlp", "digits")
    assert "D-27" in numbers("random", "cifar10") - numbers("random", "digits")
    assert {"D-40", "D-43"} <= numbers("vlcp", "imagenette") - numbers("vlcp", "digits")


def test_it_reads_published_models_only_in_their_profile() -> None:
    reads = explained("uvlp", "imagenette").reads
    assert "451f4fe16113bff5a5d2269ed5ad43b0592e9a14" in reads["diffusion"]
    assert set(reads) == {"dataset", "captions", "diffusion", "clip", "llava"}
    assert set(explained("uvlp").reads) == {"dataset", "captions"}
    assert set(explained("random").reads) == {"dataset"}


def test_the_cost_is_that_of_a_dry_run_of_the_method_alone() -> None:
    explanation = explained("vlcp", "imagenette")
    expected = report.estimate(planned(explanation.recipe), cards.named("h200"), workers=2)
    assert explanation.costs[1] == expected


def test_without_a_known_size_there_is_no_cost(tmp_path: Path) -> None:
    explanation = explained("random", f"folder:{tmp_path}")
    assert explanation.costs == ()
    assert any(line.startswith("Cost: unknown") for line in page.lines(explanation))


def test_a_method_of_another_package(tmp_path: Path) -> None:
    install(tmp_path, "mine", {"mine_explained.py": MINE}, {"methods": {"mine": "mine_explained"}})
    with importable(tmp_path):
        explanation = explained("mine", settings=["mine.skip=4"])
    skip = by_path(explanation)["mine.skip"]
    assert explanation.text == "Mine: as another one does."
    assert (skip.value, skip.default, skip.published, skip.source) == (4, 3, None, "--set")
    assert "D-17" in {each.number for each in explanation.deviations}


def test_more_images_than_a_class_has_are_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        explained("random", ipc=131)
    assert (caught.value.got, caught.value.allowed) == (131, "1 to 130")


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        explained("random", f"folder:{tmp_path / 'cats'}")
    assert caught.value.got == str(tmp_path / "cats") and "train/<class>" in str(caught.value.allowed)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dataset", plugins.names("datasets"))
def test_it_is_one_page(method: str, dataset: str) -> None:
    """Under the protocol of the dataset's recipe and under every other."""
    others = [("minimax", ["resnet-ap-10"]), ("rded", ["resnet18"])]
    for protocol, networks in [(None, []), *others]:
        lines = list(page.lines(explained(method, dataset, protocol=protocol, networks=networks)))
        assert all(len(line) <= page.WIDTH for line in lines)
        assert len(lines) <= page.HEIGHT, (len(lines), protocol)


def test_another_protocol_is_the_source_of_what_it_changes() -> None:
    explanation = explained("random", protocol="rded", networks=["conv3"])
    found = by_path(explanation)
    assert (found["protocol"].value, found["protocol"].source) == ("rded", "--protocol, --network")
    assert {"teacher", "evaluate"} <= {step.stage for step in explanation.steps}
    assert found["rded.flip"].source == "recipe of digits"


def test_settings_that_a_step_shares_with_an_earlier_one_are_not_repeated() -> None:
    lines = list(page.lines(explained("herding", settings=["herding.features=network"])))
    assert sum("evaluate: as in step " in line for line in lines) == 1
