"""Stage teacher: trained and imported teachers, and errors before anything is stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from uvlp.artifacts import pixels, teachers
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import file_sha256
from uvlp.core.progress import Event, Progress
from uvlp.pipeline.datasets import open_dataset
from uvlp.protocols.training import teacher as models
from uvlp.recipes.evaluation import TeacherSettings
from uvlp.stages import pixels as pixels_stage, teacher

CLASSES = {"cat": (200, 60, 60), "dog": (60, 200, 60), "emu": (60, 60, 200)}
SETTINGS = TeacherSettings(epochs=3, batch=8, lr=0.02, crop_scale=0.5)
FACTS = {"network": "conv3", "size_px": 8, "flip": 0.0, "seed": 0}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of three colours, with 12 training and 10 test images of each."""
    root = tmp_path_factory.mktemp("teacher")
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 10)):
        for name, colour in CLASSES.items():
            folder = root / "data" / split / name
            folder.mkdir(parents=True)
            for slot in range(count):
                image = np.clip(generator.normal(colour, 30, (9, 10, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(image).save(folder / f"{slot}.png")
    return root


@pytest.fixture(scope="module")
def validation(root: Path) -> Task:
    task = Task(
        kind=pixels.KIND,
        stage="pixels",
        plugin="rded",
        facts={"size_px": 8},
        dataset_spec=DatasetSpec(name="folder", argument=str(root / "data")),
    )
    work(root, task, pixels_stage)
    return task


def work(root: Path, task: Task, stage: Any, events: list[Event] | None = None) -> Path:
    store = Store(root / "store")
    folder = store.folder(task)
    folder.mkdir(parents=True, exist_ok=True)
    collected = events if events is not None else []
    stage.run(
        Work(
            task=task,
            folder=folder,
            store=store,
            progress=Progress(collected.append, "teacher"),
            open_dataset=open_dataset,
        )
    )
    return folder


def made(root: Path, validation: Task, checkpoint: Path | None = None, **changes: Any) -> Path:
    settings, facts = replace(SETTINGS, **changes), dict(FACTS)
    if checkpoint is not None:
        settings, facts = replace(settings, source="file"), facts | {"file": file_sha256(checkpoint)}
    task = replace(
        validation,
        kind=teachers.KIND,
        stage="teacher",
        plugin="conv3",
        settings=settings,
        facts=facts,
        inputs={"validation": validation},
        origins={"checkpoint": str(checkpoint or "")},
    )
    return work(root, task, teacher)


@pytest.fixture(scope="module")
def folder(root: Path, validation: Task) -> Path:
    return made(root, validation)


def test_a_teacher_is_trained_evaluated_and_described(folder: Path) -> None:
    facts = teachers.read(folder)
    assert (facts.architecture, facts.size_px, facts.classes) == ("conv3", 8, 3)
    assert facts.class_ids == tuple(CLASSES) and facts.source == "trained here on 36 images, 3 epochs"
    assert facts.validation_images == 30 and facts.validation_set == "folder, 3 classes"
    assert facts.accuracy_pct > 90 and len(facts.per_class_pct) == 3
    assert models.load_teacher(folder)(torch.zeros(2, 3, 8, 8)).shape == (2, 3)


def test_training_again_gives_the_same_bytes(root: Path, validation: Task, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    made(root, validation)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert set(before) == {teachers.WEIGHTS, teachers.FACTS}


def test_a_checkpoint_of_a_teacher_gives_the_same_teacher(
    root: Path, validation: Task, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "colours_conv3.pth"
    torch.save({"model": load_file(folder / teachers.WEIGHTS)}, path)
    imported = made(root, validation, path)
    facts = teachers.read(imported)
    assert facts.source == f"colours_conv3.pth, sha256 {file_sha256(path)}"
    assert facts.accuracy_pct == teachers.read(folder).accuracy_pct
    assert (imported / teachers.WEIGHTS).read_bytes() == (folder / teachers.WEIGHTS).read_bytes()


def test_a_different_class_order_is_refused_and_nothing_stored(
    root: Path, validation: Task, folder: Path, tmp_path: Path
) -> None:
    state = load_file(folder / teachers.WEIGHTS)
    shuffled = {f"classifier.{part}": state[f"classifier.{part}"][[2, 0, 1]] for part in ("weight", "bias")}
    path = tmp_path / "shuffled.safetensors"
    save_file({**state, **shuffled}, path)
    before = {file for file in root.rglob("*") if file.is_file()}
    with pytest.raises(UvlpError) as caught:
        made(root, validation, path)
    assert "output 1 predicts class 0 ('cat')" in caught.value.what
    assert {file for file in root.rglob("*") if file.is_file()} == before


def test_a_convnet_from_torchvision_is_refused(root: Path, validation: Task) -> None:
    with pytest.raises(UvlpError) as caught:
        made(root, validation, source="torchvision")
    assert caught.value.got == "conv3"


def test_invalid_settings_are_refused_for_an_import_too(
    root: Path, validation: Task, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "t.safetensors"
    save_file(load_file(folder / teachers.WEIGHTS), path)
    with pytest.raises(UvlpError) as caught:
        made(root, validation, path, published_pct=930.0)
    assert "teacher.published_pct" in caught.value.what and caught.value.got == 930
