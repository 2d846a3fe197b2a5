"""The file of deviations: every name in it exists, and an entry concerns the runs that it names."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass

from uvlp.core import plugins
from uvlp.declarations.method import declared_method
from uvlp.recipes.deviations import FILE, deviations
from uvlp.recipes.profiles import PROFILES
from uvlp.recipes.schema import Recipe, SynthesisSettings

USED = {
    "dataset": {"digits"},
    "captioner": {"strokes"},
    "stage": {"caption", "finetune", "evaluate"},
    "protocol": {"minimax"},
    "profile": {"tiny"},
}


def numbers(method: str, **other: str) -> set[str]:
    names = USED | {kind: {name} for kind, name in other.items()}
    return {each.number for each in deviations() if each.concerns(method, names)}


def choices() -> dict[str, list[str]]:
    """Allowed values by the name of a setting, of all recipes and methods."""
    recipe = Recipe()
    sections = [type(getattr(recipe, field.name)) for field in fields(recipe)]
    sections += [SynthesisSettings, *(declared_method(name).settings for name in plugins.names("methods"))]
    settings = [field for section in filter(is_dataclass, sections) for field in fields(section)]
    return {field.name: list(field.metadata["choices"]) for field in settings if field.metadata}


def test_every_name_exists() -> None:
    known = choices() | {
        "dataset": plugins.names("datasets"),
        "captioner": ["file", *plugins.names("captioners")],
        "stage": plugins.names("stages"),
        "protocol": plugins.names("protocols"),
        "profile": list(PROFILES),
        "teacher": ["trained", "torchvision", "file"],
    }
    for each in deviations():
        assert set(each.methods) <= set(plugins.names("methods")), each.number
        for kind, names in each.only_with.items():
            assert set(names) <= set(known[kind]), each.number


def test_the_numbers_are_consecutive_and_no_text_is_empty() -> None:
    entries = deviations()
    assert [each.number for each in entries] == [f"D-{row:02}" for row in range(1, len(entries) + 1)]
    assert all(each.name and each.what and each.why and each.effect for each in entries)


def test_a_name_is_short_and_its_own() -> None:
    names = [each.name for each in deviations()]
    assert len(set(names)) == len(names) and max(map(len, names)) <= 34


def test_every_number_that_the_package_cites_is_in_the_file() -> None:
    package = FILE.parent.parent / "uvlp"
    cited = {
        number
        for path in package.rglob("*.py")
        for number in re.findall(r"\bD-\d\d\b", path.read_text(encoding="utf-8"))
    }
    assert cited <= {each.number for each in deviations()}


def test_an_entry_of_some_methods_concerns_them_alone() -> None:
    assert "D-58" in numbers("d4m")
    assert "D-58" not in numbers("uvlp")


def test_an_entry_of_every_method_concerns_those_of_other_packages_too() -> None:
    assert "D-17" in numbers("typical")


def test_each_kind_of_name_must_be_met() -> None:
    both = {"protocol": "rded", "dataset": "imagewoof"}
    assert "D-60" in numbers("uvlp", **both)
    assert "D-60" not in numbers("uvlp", **both | {"protocol": "minimax"})
    assert "D-60" not in numbers("uvlp", **both | {"dataset": "digits"})


def test_a_setting_may_be_the_condition() -> None:
    assert "D-22" in numbers("uvlp", scheduler="ddim")
    assert "D-22" not in numbers("uvlp", scheduler="pndm")
    assert "D-22" not in numbers("random")


def test_one_name_of_a_kind_is_enough() -> None:
    assert "D-06" in numbers("d4m", profile="nano")
    assert "D-06" not in numbers("d4m", profile="sd15")
