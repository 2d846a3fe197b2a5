"""Declarations of plug-ins: defaults, and errors for missing, invalid or misspelt fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.other_packages import importable, install
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.declarations.captioner import declared_captioner
from uvlp.declarations.dataset import declared_dataset
from uvlp.declarations.launcher import declared_launcher
from uvlp.declarations.method import declared_method
from uvlp.declarations.network import declared_network
from uvlp.declarations.protocol import declared_protocol
from uvlp.recipes.evaluation import EvaluateSettings
from uvlp.recipes.schema import Recipe, SynthesisSettings

READERS: dict[str, Callable[[str], Any]] = {
    "methods": declared_method,
    "datasets": declared_dataset,
    "networks": declared_network,
    "protocols": declared_protocol,
    "captioners": declared_captioner,
    "launchers": declared_launcher,
}
ALL = [(room, name) for room in plugins.OPEN for name in plugins.names(room)]
SETTINGS = """
from dataclasses import dataclass
from uvlp.recipes.setting import setting
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
"""
MINIMAL = {
    "methods": ["REVISION = 1", "TITLE = 'Mine'", "def select(inputs, settings, progress): ..."],
    "datasets": ["REVISION = 1", "def open_dataset(spec, cache, progress): ...", "def recipe(ipc): ..."],
    "networks": [
        "REVISION = 1",
        "LEAST_PX = {1: 8}",
        "def build(depth, *, classes, size_px, norm, width): ...",
    ],
    "protocols": [
        "REVISION = 1",
        f"{SETTINGS}    size_px: int = setting(16, 'side')",
        "def evaluate(train, validation, **how): ...",
        "def validation_pixels(pixels, size_px): ...",
    ],
    "captioners": [
        "REVISION = 1",
        "def captions(images, class_names, progress): ...",
        "def plain(class_name): ...",
    ],
    "launchers": ["TITLE = 'Mine'", "def launch(work, settings): ..."],
}
"""The minimal declaration of a plug-in of each kind."""


def text(lines: list[str]) -> str:
    return "\n".join(["from __future__ import annotations", *lines])


def declared(folder: Path, room: str, lines: list[str]) -> Any:
    name = f"p{abs(hash((room, *lines)))}"
    install(folder, name, {f"{name}.py": text(lines)}, {room: {name: name}})
    with importable(folder):
        return READERS[room](name)


def refused(folder: Path, room: str, lines: list[str]) -> UvlpError:
    with pytest.raises(UvlpError) as error:
        declared(folder, room, lines)
    return error.value


@pytest.mark.parametrize(("room", "name"), ALL)
def test_built_in_plug_ins_are_valid(room: str, name: str) -> None:
    declaration = READERS[room](name)
    assert declaration.origin.name == name and not declaration.origin.package
    # Where tasks are computed is not part of a result.
    assert room == "launchers" or declaration.revision >= 1


@pytest.mark.parametrize("room", MINIMAL)
def test_a_minimal_declaration_is_valid(tmp_path: Path, room: str) -> None:
    declaration = declared(tmp_path, room, MINIMAL[room])
    assert declaration.origin.package and (room == "launchers" or declaration.revision == 1)


@pytest.mark.parametrize("room", MINIMAL)
def test_every_field_of_a_minimal_declaration_is_required(tmp_path: Path, room: str) -> None:
    for left_out in range(len(MINIMAL[room])):
        lines = [line for row, line in enumerate(MINIMAL[room]) if row != left_out]
        error = refused(tmp_path, room, lines)
        (part,) = set(MINIMAL[room]) - set(lines)
        name = part.removeprefix(SETTINGS).split("(")[0].split(" =")[0].removeprefix("def ")
        named = "Settings" if "size_px: int" in name else name
        assert named in str(error), (part, str(error))


@pytest.mark.parametrize(
    ("room", "line", "field", "got"),
    [
        ("methods", "REVISION = 0", "REVISION", 0),
        ("methods", "REVISION = True", "REVISION", True),
        ("methods", "TITLE = 3", "TITLE", 3),
        ("methods", "FEATURES = ('images')", "FEATURES", "images"),
        ("methods", "FEATURES = ('pixels',)", "FEATURES", ("pixels",)),
        ("methods", "VARIANTS = {'fast': {'speed': 3}}", "VARIANTS", "speed"),
        ("methods", "VARIANTS = {'fast+': {}}", "VARIANTS", "fast+"),
        ("methods", "VARIANTS = {'fast': 3}", "VARIANTS", 3),
        ("methods", "VARIANTS = {'fast': {'synthesis': {'steps': 3}}}", "VARIANTS", "synthesis"),
        (
            "methods",
            "from uvlp.recipes.variant import variant\nVARIANTS = {'fast': variant('')}",
            "VARIANTS",
            "",
        ),
        ("methods", "def effective(settings): ...", "effective", "(settings)"),
        ("methods", "SYNTHESIS = {'steps': 3}", "SYNTHESIS", {"steps": 3}),
        ("methods", "CAPTIONS = True", "CAPTIONS", True),
        ("methods", "def select(inputs, settings): ...", "select", "(inputs, settings)"),
        ("methods", "select = 3", "select", "int"),
        ("methods", "def prototypes(inputs, settings, progress): ...", "prototypes", "select and prototypes"),
        ("methods", "def optimise(inputs, settings, progress): ...", "optimise", "select and optimise"),
        ("methods", "def sample(inputs, settings, progress): ...", "sample", "(inputs, settings, progress)"),
        ("methods", "def teacher(settings, size_px): ...", "teacher", None),
        ("methods", "PROFILES = {'nano': {'speed': 3}}", "PROFILES", "speed"),
        ("datasets", "VARIANTS = 'one'", "VARIANTS", "one"),
        ("datasets", "EXPECTED = 100", "EXPECTED", 100),
        ("datasets", "def recipe(): ...", "recipe", "()"),
        ("networks", "LEAST_PX = {}", "LEAST_PX", {}),
        ("networks", "LEAST_PX = {'1': 8}", "LEAST_PX", {"1": 8}),
        ("networks", "LEAST_PX = dict(a=1)", "LEAST_PX", "a name or an expression"),
        ("networks", "def build(depth, classes): ...", "build", "(depth, classes)"),
        ("protocols", "TEACHER = 1", "TEACHER", 1),
        ("protocols", "TEACHER = True", "flip", None),
        ("protocols", "SECTION = 'rded'", "SECTION", "rded"),
        ("captioners", "MODEL = 'gpt'", "MODEL", "gpt"),
        ("captioners", "MODEL = 'llava'", "opened", None),
    ],
)
def test_an_invalid_field_is_refused(tmp_path: Path, room: str, line: str, field: str, got: object) -> None:
    error = refused(tmp_path, room, [*MINIMAL[room], line])
    assert field in error.what and error.got == got
    assert error.allowed or error.fix


@pytest.mark.parametrize(
    ("room", "line", "field"),
    [
        ("methods", "TITEL = 'Mine'", "TITLE"),
        ("methods", "FEATURE = ('images',)", "FEATURES"),
        ("methods", "VARIANT = {}", "VARIANTS"),
        ("methods", "def prototype(inputs, settings, progress): ...", "prototypes"),
        ("datasets", "EXPECTS = 3", "EXPECTED"),
        ("datasets", "def downloads(spec): ...", "download"),
        ("networks", "LEAST_PIX = {3: 8}", "LEAST_PX"),
        ("protocols", "def workloads(): ...", "workload"),
        ("captioners", "MODELS = 'llava'", "MODEL"),
    ],
)
def test_the_correct_name_of_a_misspelt_field_is_suggested(
    tmp_path: Path, room: str, line: str, field: str
) -> None:
    lines = [each for each in MINIMAL[room] if not each.startswith((f"{field} =", f"def {field}("))]
    error = refused(tmp_path, room, [*lines, line])
    assert f"did you mean {field}?" in str(error.fix)
    assert declared(tmp_path, room, [*MINIMAL[room], f"_{line.removeprefix('def ')}"][:-1])


@pytest.mark.parametrize(
    ("field", "got"),
    [
        ("count: int = 3", "count without setting()"),
        ("count = 3", "count without a type annotation"),
        ("count: float = setting(3, 'how many')", "count: float with the default 3, of type int"),
        ("count: list = setting(None, 'how many')", "count of type NoneType"),
        ("count: Nothing = setting(3, 'how many')", "name 'Nothing' is not defined"),
    ],
)
def test_fields_of_settings_are_made_by_setting(tmp_path: Path, field: str, got: str) -> None:
    error = refused(tmp_path, "methods", [*MINIMAL["methods"], SETTINGS + f"    {field}"])
    assert "Settings" in error.what and error.got == got


def test_settings_must_be_frozen_dataclasses(tmp_path: Path) -> None:
    for text, got in (
        ("class Settings: ...", "not a dataclass"),
        (SETTINGS.replace("frozen=True, ", "") + "    x: int = 3", "a dataclass that is not frozen"),
    ):
        assert refused(tmp_path, "methods", [*MINIMAL["methods"], text]).got == got


def test_the_name_of_a_recipe_field_is_refused_for_a_protocol(tmp_path: Path) -> None:
    """A method may have it: its settings are `method.NAME.FIELD`."""
    room, name = "protocols", "clash_protocols"
    install(tmp_path, name, {f"{name}.py": text(MINIMAL[room])}, {room: {"embedder": name}})
    with importable(tmp_path), pytest.raises(UvlpError) as error:
        READERS[room]("embedder")
    assert error.value.got == "embedder"


def test_a_method_with_prototypes_has_synthesis_settings(tmp_path: Path) -> None:
    lines = [*MINIMAL["methods"][:2], "def prototypes(inputs, settings, progress): ..."]
    assert declared(tmp_path, "methods", lines).synthesis == SynthesisSettings()


def test_a_protocol_without_a_section_uses_the_recipes_changes(tmp_path: Path) -> None:
    lines = [*MINIMAL["protocols"], "PROFILES = {'nano': {'size_px': 8}}"]
    protocol = declared(tmp_path, "protocols", lines)
    assert protocol.settings_in(Recipe(profile="tiny")).size_px == 16
    assert protocol.settings_in(Recipe(profile="nano")).size_px == 8
    changed = Recipe(profile="nano", protocols={protocol.section: {"size_px": 24}})
    assert protocol.settings_in(changed).size_px == 24
    assert protocol.canonical("convnet_3") == "convnet-3" and protocol.family("resnet-ap-10") == "resnet_ap"


def test_built_in_protocols_have_typed_sections() -> None:
    recipe = Recipe(evaluate=EvaluateSettings(epochs=7))
    assert declared_protocol("minimax").settings_in(recipe) is recipe.evaluate
    assert declared_protocol("rded").settings_in(recipe) is recipe.rded


def test_return_values_of_recipe_and_features_are_checked(tmp_path: Path) -> None:
    dataset = declared(tmp_path, "datasets", [*MINIMAL["datasets"][:2], "def recipe(ipc): return {}"])
    with pytest.raises(UvlpError) as error:
        dataset.recipe(10)
    assert error.value.got == "dict" and "recipe" in error.value.what
    method = declared(tmp_path, "methods", [*MINIMAL["methods"], "def features(settings): return 'images'"])
    with pytest.raises(UvlpError) as error:
        method.reads(None)
    assert error.value.got == "images" and "features" in error.value.what
    lines = [*MINIMAL["methods"][:2], "def optimise(inputs, settings, progress): ..."]
    lines.append("def models(settings): return ('vae',)")
    with pytest.raises(UvlpError) as error:
        declared(tmp_path, "methods", lines).reads_models(None)
    assert error.value.got == ("vae",) and "models" in error.value.what


def test_models_that_depend_on_settings_apply_to_methods_that_compute_images(tmp_path: Path) -> None:
    for line in ("def models(settings): return ()", "def check_models(settings, folders): ..."):
        with pytest.raises(UvlpError) as error:
            declared(tmp_path, "methods", [*MINIMAL["methods"], line])
        assert "does not apply to the function" in error.value.what
