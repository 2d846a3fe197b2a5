"""Stage synthesise: from prototypes to images, with models from an artifact or a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from tests import tiny_models
from uvlp.artifacts import distilled, prototypes, weights
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.prototypes import Prototype
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import read_notes
from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.making.execute import execute
from uvlp.pipeline.planning.pieces import Divided, pieces
from uvlp.recipes.schema import SynthesisSettings

SPEC = DatasetSpec(name="digits")
IPC = 2


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def on_a_cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the CPU even if there is a GPU, because notes and bytes are compared."""
    if request.node.get_closest_marker("gpu") is None:
        monkeypatch.setattr(machine, "device", lambda: "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.diffusion(tmp_path_factory.mktemp("stable-diffusion"))


class World:
    """A store with the prototypes of the ten digits, and tasks to synthesise them."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.store.prepare()
        manifest = open_dataset(SPEC, self.store.cache, Progress()).manifest
        self.common: dict[str, Any] = {"dataset": manifest.content_hash, "dataset_spec": SPEC}
        self.ids = [info.id for info in manifest.classes]
        self.prototypes = Task(kind=prototypes.KIND, stage="prototype", plugin="uvlp", **self.common)
        with self.store.making(self.prototypes, print) as made:
            assert made is not None
            rows = [
                Prototype(class_id=name, slot=slot, text=f"a bar {name}", members=(0,), latent_members=(0,))
                for name in self.ids
                for slot in range(IPC)
            ]
            latents = np.random.default_rng(0).normal(size=(len(rows), 4, 8, 8))
            prototypes.write(made, len(rows), [(latents, rows)])
            self.store.commit(self.prototypes, made, {})

    def task(self, facts: Mapping[str, Any] | None = None, **more: Any) -> Task:
        changes = more.pop("settings", {})
        settings = SynthesisSettings(**{"strength": 0.5, "steps": 2, "guidance": 3.0, **changes})
        inputs = {"prototypes": self.prototypes, **more.pop("inputs", {})}
        facts = {"method": "uvlp", "ipc": IPC, "seed": 0, **(facts or {})}
        return Task(
            kind=distilled.KIND,
            stage="synthesise",
            settings=settings,
            facts=facts,
            inputs=inputs,
            **self.common,
            **more,
        )

    def weights(self) -> Task:
        """The models as an artifact."""
        task = Task(kind=weights.KIND, stage="finetune", plugin="diffuser", **self.common)
        with self.store.making(task, print) as made:
            assert made is not None
            tiny_models.diffusion(made)
            self.store.commit(task, made, {})
        return task

    def made(self, task: Task, progress: Progress | None = None) -> Path:
        execute(self.store.root, task, progress or Progress())
        return self.store.folder(task)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store")


def test_torchvision_loads_the_images_with_metadata_and_sheet(world: World, folder: Path) -> None:
    events: list[Event] = []
    made = world.made(world.task(origins={"diffuser": str(folder)}), Progress(events.append))
    images = ImageFolder(str(made / "train"))
    assert images.classes == sorted(world.ids) and len(images) == IPC * 10
    assert {image.size for image, _ in images} == {(64, 64)}
    rows = [json.loads(line) for line in (made / "train" / "metadata.jsonl").read_text().splitlines()]
    expected = [f"{name}/{slot:05d}.png" for name in world.ids for slot in range(IPC)]
    assert [row["file_name"] for row in rows] == expected
    assert [row["text"] for row in rows] == [f"a bar {name}" for name in world.ids for _ in range(IPC)]
    with Image.open(made / distilled.SHEET) as sheet:
        assert sheet.height == 10 * (distilled.SHEET_CELL_PX + distilled.SHEET_GAP_PX)
    assert (events[-1].done, events[-1].total) == (20, 20)
    assert not list((world.store.root / "partial").iterdir())


def test_models_from_an_artifact_or_a_folder_give_the_same_images(world: World, folder: Path) -> None:
    from_folder = world.made(world.task(origins={"diffuser": str(folder)}))
    from_artifact = world.made(world.task(inputs={"diffuser": world.weights()}))
    for image in files(from_folder):
        assert (from_folder / image).read_bytes() == (from_artifact / image).read_bytes()


def files(folder: Path) -> Iterator[Path]:
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
    assert paths
    return iter(paths)


class Interrupted(Exception):
    """Stands for an interruption by the user."""


@pytest.mark.parametrize("batch", [4, 0])
def test_finished_images_of_an_interrupted_run_are_not_made_again(
    world: World, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    from uvlp.models.sampling.sampler import Sampler

    task = world.task(origins={"diffuser": str(folder)}, settings={"batch": batch})
    uninterrupted = World(tmp_path / "other").made(task)
    calls, synthesise = 0, Sampler.synthesise

    def third_stops(self: Sampler, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Interrupted
        return synthesise(self, *arguments)

    monkeypatch.setattr(Sampler, "synthesise", third_stops)
    with pytest.raises(Interrupted):
        world.made(task)
    assert not world.store.has(task)
    made = world.made(task)
    assert calls == 3 + 3  # two of five batches were finished
    assert [name.name for name in files(uninterrupted)] == [name.name for name in files(made)]
    for image in files(uninterrupted):
        assert (uninterrupted / image).read_bytes() == (made / image).read_bytes()
    assert not list((world.store.root / "partial").iterdir())


@pytest.mark.parametrize("count", [1, 3])
def test_pieces_give_equal_bytes(world: World, folder: Path, tmp_path: Path, count: int) -> None:
    task = world.task(origins={"diffuser": str(folder)}, settings={"batch": 4})
    alone = World(tmp_path / "other").made(task)
    for piece in pieces(task, count):
        execute(world.store.root, piece, Progress())
    assert not world.store.has(task)
    execute(world.store.root, Divided(task, count), Progress())
    shared = world.store.folder(task)
    assert all((alone / image).read_bytes() == (shared / image).read_bytes() for image in files(alone))
    assert read_notes(alone) == read_notes(shared)
    assert not list((world.store.root / "partial").iterdir())


def test_a_run_interrupted_after_the_last_image_loads_no_model(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_models.diffusion(tmp_path / "sd")
    task = world.task(origins={"diffuser": str(folder)})

    def stop(*_: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(distilled, "finish", stop)
        with pytest.raises(Interrupted):
            world.made(task)
    (folder / "model_index.json").unlink()
    assert len(list(files(world.made(task)))) == 20 + 1


def test_notes_state_the_differences_from_a_cpu_run(world: World, folder: Path) -> None:
    origins = {"diffuser": str(folder)}
    assert read_notes(world.made(world.task(origins=origins))) == {}
    changes = {"batch": 0, "size_px": 32, "noise": "published"}
    made = world.made(world.task({"precision": "bfloat16"}, origins=origins, settings=changes))
    assert read_notes(made) == {
        "images synthesised in bfloat16": 20,
        "images synthesised at once": 4,
        "images resized to 32 px": 20,
        "images from the published noise stream as a CPU draws it; a GPU draws other numbers": 20,
    }
    with Image.open(made / "train" / next(files(made / "train"))) as image:
        assert image.size == (32, 32)


def test_a_failed_image_is_refused_and_nothing_is_stored(world: World, tmp_path: Path) -> None:
    from diffusers import AutoencoderKL

    folder = tiny_models.diffusion(tmp_path / "sd")
    vae = AutoencoderKL.from_pretrained(folder / "vae")
    with torch.no_grad():
        vae.decoder.conv_out.weight.zero_()
        vae.decoder.conv_out.bias.fill_(-9)
    vae.save_pretrained(folder / "vae")
    task = world.task(origins={"diffuser": str(folder)})
    with pytest.raises(UvlpError) as caught:
        world.made(task)
    assert "0/00000.png" in caught.value.what and "black" in caught.value.what
    assert not world.store.has(task)


def test_float16_requires_a_gpu(world: World, folder: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        world.made(world.task({"precision": "float16"}, origins={"diffuser": str(folder)}))
    assert caught.value.got == "float16"


def test_the_sheet_of_many_classes_shows_the_first_hundred() -> None:
    entries = [
        distilled.Entry(file_name=f"{label}/{slot}.png", label=label, class_id=str(label), class_name="")
        for label in range(150)
        for slot in range(12)
    ]
    shown = distilled.sheet_rows(entries)
    assert len(shown) == 100 * 10 and {entries[row].label for row in shown} == set(range(100))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_auto_is_float16_on_a_gpu(world: World, folder: Path) -> None:
    made = world.made(world.task({"precision": "auto"}, origins={"diffuser": str(folder)}))
    assert read_notes(made) == {"images synthesised in float16": 20}
    assert len(list(files(made / "train"))) == 20
