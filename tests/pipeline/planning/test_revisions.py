"""What enters keys besides settings: revisions, packages of plug-ins and their versions, portability."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.other_packages import importable, install
from tests.pipeline.planning.test_planner import methods, planner
from uvlp.artifacts.task import Task, chain, key_of, manifest
from uvlp.core import plugins, portable
from uvlp.pipeline.planning import images, models, planner as plan
from uvlp.pipeline.planning.contenders import resolve_method

METHOD = """
REVISION = 1
TITLE = "Mine"
def select(inputs, settings, progress): ...
"""
NETWORK = """
REVISION = 3
LEAST_PX = {1: 8}
def build(depth, *, classes, size_px, norm, width): ...
"""
PROTOCOL = """
from __future__ import annotations
from dataclasses import dataclass
from uvlp.recipes.setting import setting
REVISION = 1
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    size_px: int = setting(16, "side", least=1)
def evaluate(train, validation, **how): ...
def validation_pixels(pixels, size_px): ...
"""


def planned_elsewhere(folder: Path, version: str) -> dict[str, Task]:
    """Return tasks by stage, of a plan with method, network and protocol of another package."""
    name = f"elsewhere_{version.replace('.', '_')}"
    files = {f"{name}/{part}.py": text for part, text in (("m", METHOD), ("n", NETWORK), ("p", PROTOCOL))}
    points = {
        "methods": {"mine": f"{name}.m"},
        "networks": {"wide": f"{name}.n"},
        "protocols": {"own": f"{name}.p"},
    }
    install(folder, "else-where", files, points, version)
    with importable(folder):
        here = planner(protocol="own", networks=("wide-1",))
        made = list(chain(here.table([resolve_method("mine", here.recipe)])))
    return {task.stage: task for task in made}


def test_keys_contain_packages_of_plugins_and_their_versions(tmp_path: Path) -> None:
    plan = planned_elsewhere(tmp_path / "a", "1.0")
    packages = {stage: dict(task.packages) for stage, task in plan.items()}
    assert packages == {
        "synthesise": {"plugin": "else-where 1.0"},
        "pixels": {"plugin": "else-where 1.0"},
        "evaluate": {"plugin": "else-where 1.0", "network": "else-where 1.0"},
        "tabulate": {},
    }
    assert plan["evaluate"].revisions["network"] == 3
    for stage, task in planned_elsewhere(tmp_path / "b", "1.1").items():
        assert task.key != plan[stage].key
        assert key_of(manifest(task, {}, {})) == task.key


def test_dm_reads_no_model_but_the_revision_of_its_network_is_in_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (dm,) = methods("dm")
    before = planner().distilled(dm, 0)
    assert {task.stage for task in chain(before)} == {"optimise"}
    assert before.facts == {"method": "dm", "ipc": 10, "seed": 0, "size_px": 16, "flip": False}
    raise_revision(monkeypatch, "networks/resnet")
    assert planner().distilled(dm, 0).key == before.key
    raise_revision(monkeypatch, "networks/convnet")
    assert planner().distilled(dm, 0).key != before.key


def test_key_of_captions_is_pinned() -> None:
    """A new setting with a default must not invalidate existing artifacts."""
    assert planner().captions().key == "549aa966ffb4f3d7"


def raise_revision(monkeypatch: pytest.MonkeyPatch, raised: str) -> None:
    """Raise the REVISION of a file, or of a plug-in's declaration, as the planner reads it."""
    group, _, name = raised.partition("/")
    if group not in plugins.OPEN:
        revision = plugins.revision
        monkeypatch.setattr(plugins, "revision", lambda path: revision(path) + (path == raised))
        return
    reader = f"declared_{plugins.SINGULAR[group]}"
    readers = [module for module in (models, images, plan) if hasattr(module, reader)]
    declared = getattr(readers[0], reader)

    def other(requested: str) -> Any:
        declaration = declared(requested)
        same = declaration.origin.name.replace("-", "_") == name
        return replace(declaration, revision=declaration.revision + 1) if same else declaration

    for module in readers:
        monkeypatch.setattr(module, reader, other)


def stages_with_new_keys(monkeypatch: pytest.MonkeyPatch, raised: str) -> set[str]:
    """Return the stages whose keys change with the REVISION of ``raised``, in plans of both protocols."""

    def keys() -> dict[str, str]:
        by_title = {}
        for protocol, networks in (
            ("minimax", ("convnet-3", "resnet-18")),
            ("rded", ("conv3", "resnet18")),
        ):
            here = planner(protocol=protocol, networks=networks)
            for task in chain(here.table(methods("random", "uvlp"))):
                by_title[f"{task.stage} {protocol} {task.title}"] = task.key
        return by_title

    before = keys()
    raise_revision(monkeypatch, raised)
    after = keys()
    assert before.keys() == after.keys()
    return {title.split()[0] for title in before if before[title] != after[title]}


@pytest.mark.parametrize(
    ("raised", "stages"),
    [
        ("networks/convnet", {"evaluate", "teacher", "tabulate"}),
        ("networks/resnet", {"evaluate", "tabulate"}),
        ("networks/resnet_ap", set()),
        ("models/sampling/sampler", {"synthesise", "evaluate", "tabulate"}),
        ("stages/tabulate", {"tabulate"}),
        ("datasets/digits", {*plan.STAGES} - {"encode", "represent", "collect", "optimise", "sample"}),
        ("datasets/folder", set()),
    ],
)
def test_revisions_enter_the_keys_of_their_artifacts(
    monkeypatch: pytest.MonkeyPatch, raised: str, stages: set[str]
) -> None:
    assert stages_with_new_keys(monkeypatch, raised) == stages


def test_revision_of_a_network_enters_the_key_of_its_features(monkeypatch: pytest.MonkeyPatch) -> None:
    before = planner().representation(0).key
    raise_revision(monkeypatch, "networks/resnet_ap")
    assert planner().representation(0).key != before


def test_portable_changes_every_key_and_the_name_of_the_table() -> None:
    plain, made = (planner(portable=on).table(methods("full", "d4m", "uvlp")) for on in (False, True))
    keys = {task.key for task in chain(plain)}
    assert not keys & {task.key for task in chain(made)}
    assert all(task.facts["portable"] == portable.identity() for task in chain(made))
    assert not any("portable" in task.facts for task in chain(plain)), "old keys stay valid"
    note = next(note for note in made.facts["notes"] if note.startswith("made with --portable"))
    assert portable.libc() in note and "untested" not in note
    assert made.facts["name"] != plain.facts["name"]


def test_portable_note_marks_untested_recipes() -> None:
    for changes in ({"dataset": "imagenette"}, {"pretrained": True}):
        notes = planner(portable=True, **changes).table(methods("random")).facts["notes"]
        assert any(note.startswith("made with --portable") and "untested" in note for note in notes)
