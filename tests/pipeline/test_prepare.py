"""Plans: state of the dataset, choice of the captioner, and placeholders of what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uvlp.artifacts.store import Store
from uvlp.captioners.texts import imported
from uvlp.core.errors import UvlpError
from uvlp.pipeline.names import check, default_recipe
from uvlp.pipeline.prepare import Plan, outline, prepare
from uvlp.recipes.schema import CaptionSettings, Recipe

CAPTIONS = "".join(f'{{"file_name": "{name}/0.png", "text": "a {name}"}}\n' for name in ("cat", "dog"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for number, name in enumerate(("cat", "dog")):
        for split in ("train", "val"):
            folder = root / split / name
            folder.mkdir(parents=True)
            Image.fromarray(np.full((32, 32, 3), 90 * (number + 1), np.uint8)).save(folder / "0.png")
    return root


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def folder_recipe(data: Path, **changes: Any) -> Recipe:
    """Return a recipe whose dataset is present."""
    usual: dict[str, Any] = {"dataset": f"folder:{data}", "methods": ("vlcp",), "networks": ("convnet-1",)}
    return replace(default_recipe("folder", 1), **usual | changes)


def planned(recipe: Recipe, store: Store, until: str = "tabulate") -> Plan:
    return prepare(check(recipe), store, until)


AUTO = CaptionSettings(captioner="auto")


def test_auto_without_captions_is_colours(data: Path, store: Store) -> None:
    assert planned(folder_recipe(data, caption=AUTO), store).recipe.caption.captioner == "colours"


def test_auto_with_captions_of_the_dataset_is_file(data: Path, store: Store) -> None:
    (data / "train" / "metadata.jsonl").write_text(CAPTIONS, encoding="utf-8")
    assert planned(folder_recipe(data, caption=AUTO), store).recipe.caption.captioner == "file"


def test_auto_prefers_imported_captions_and_reports_unused_ones(
    data: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "train" / "metadata.jsonl").write_text(CAPTIONS, encoding="utf-8")
    first = planned(folder_recipe(data, caption=AUTO), store)
    assert "not used" not in capsys.readouterr().err
    spec = check(folder_recipe(data)).spec
    imported.write(imported.file_path(store.root, spec, first.manifest), {"cat/0.png": "x", "dog/0.png": "y"})
    second = planned(folder_recipe(data, caption=AUTO), store)
    assert second.recipe.caption.captioner == "file"
    assert "its captions in files are not used, but imported ones" in capsys.readouterr().err
    captions = [next(task for task in plan.tasks if task.kind == "captions") for plan in (first, second)]
    assert captions[0].key != captions[1].key


def test_missing_dataset_has_a_placeholder(tmp_path: Path, store: Store) -> None:
    recipe = replace(default_recipe("imagenette", 10), data=str(tmp_path / "data"), methods=("random",))
    plan = planned(recipe, store)
    assert plan.dataset is None and plan.absent is not None and not plan.complete
    assert [transfer.part for transfer in plan.transfers] == [""]
    assert (len(plan.manifest.classes), plan.manifest.count("train")) == (10, 9469)
    assert {task.title for task in plan.tasks} == {task.title for task in outline(check(recipe)).tasks}


def test_missing_folder_dataset_is_an_error(tmp_path: Path, store: Store) -> None:
    with pytest.raises(UvlpError):
        planned(folder_recipe(tmp_path / "nowhere"), store)


def test_only_requested_stages_are_planned(data: Path, store: Store) -> None:
    every = planned(folder_recipe(data), store)
    some = planned(folder_recipe(data), store, "embed")
    assert every.complete and some.complete
    assert {task.stage for task in some.tasks} <= {"caption", "finetune", "pixels", "represent", "embed"}
    assert {task.key for task in some.tasks} < {task.key for task in every.tasks}


def test_teacher_is_planned_without_other_stages(data: Path, store: Store) -> None:
    plan = planned(folder_recipe(data, protocol="rded", networks=("conv3",)), store, "teacher")
    assert {task.stage for task in plan.tasks} == {"pixels", "teacher"}
