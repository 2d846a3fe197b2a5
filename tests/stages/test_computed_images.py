"""Stages optimise and sample: images of a method of another package, its mistakes, and interruptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.flipping import flip
from tests.other_packages import importable, install
from uvlp.artifacts import distilled
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import read_notes
from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.declarations.method import declared_method
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.making.execute import execute

SPEC, IPC, SIZE_PX = DatasetSpec(name="digits"), 2, 8
OPTIMISING = '''"""Painted: images of one level each."""

REVISION = 1
TITLE = "Painted"
CHANGE = {}


class Painting:
    iterations, fix = 2, "paint again"

    def __init__(self, inputs):
        import torch
        from uvlp.methods.algorithms.optimising.optimisation import Meter

        self.meter, self.inputs = Meter("cpu"), inputs
        count = len(inputs.classes) * inputs.ipc
        self.pixels = torch.rand(count, 3, inputs.size_px, inputs.size_px, generator=torch.manual_seed(0))

    def step(self, iteration):
        self.pixels = self.pixels * 1.5 - 0.1
        return self.pixels.sum()

    def state(self):
        return {"pixels": self.pixels}

    def restore(self, state):
        self.pixels = state["pixels"]

    def images(self):
        return CHANGE(self.pixels)


def optimise(inputs, settings, progress):
    return Painting(inputs)
'''
SAMPLING = '''"""Drawn: noise."""

REVISION = 1
TITLE = "Drawn"
CALLS = []


def sample(inputs, settings, progress, done):
    import numpy

    count = len(inputs.classes) * inputs.ipc
    batches = [[row, row + 1] for row in range(count - 2, -1, -2)]
    for rows in batches[done // 2 :]:
        CALLS.append(rows)
        images = [numpy.random.default_rng(row).integers(0, 255, (8, 9, 3)).astype("uint8") for row in rows]
        yield CHANGE(rows, images)
'''


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "device", lambda: "cpu")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    install(
        tmp_path / "packages",
        "two-kinds",
        {"painted.py": OPTIMISING, "drawn.py": SAMPLING},
        {"methods": {"painted": "painted", "drawn": "drawn"}},
    )
    with importable(tmp_path / "packages"):
        import drawn  # type: ignore[import-not-found]
        import painted  # type: ignore[import-not-found]

        painted.CHANGE, drawn.CHANGE, drawn.CALLS = (lambda pixels: pixels), (lambda *batch: batch), []
        yield World(tmp_path / "store", painted, drawn)


class World:
    """A store and the tasks of the two methods."""

    def __init__(self, root: Path, painted: Any, drawn: Any) -> None:
        self.store, self.painted, self.drawn = Store(root), painted, drawn
        self.store.prepare()

    def task(self, method: str) -> Task:
        manifest = open_dataset(SPEC, self.store.cache, Progress()).manifest
        declared = declared_method(method)
        return Task(
            kind=distilled.KIND,
            stage="optimise" if declared.optimise else "sample",
            plugin=method,
            settings=declared.settings(),
            facts={"method": method, "ipc": IPC, "seed": 0, "size_px": SIZE_PX, "flip": False},
            dataset=manifest.content_hash,
            dataset_spec=SPEC,
        )

    def made(self, method: str) -> Path:
        task = self.task(method)
        execute(self.store.root, task, Progress())
        return self.store.folder(task)


def images(folder: Path) -> dict[str, np.ndarray]:
    return {
        path.relative_to(folder / "train").as_posix(): np.asarray(Image.open(path))
        for path in sorted(folder.rglob("train/*/*.png"))
    }


def test_optimised_images_are_stored_in_8_bits_class_by_class(world: World) -> None:
    folder = world.made("painted")
    start = torch.rand(20, 3, SIZE_PX, SIZE_PX, generator=torch.manual_seed(0))
    final = (start * 1.5 - 0.1) * 1.5 - 0.1
    expected = np.clip(255 * final.numpy() + np.float32(0.5), 0, 255).astype(np.uint8)
    found = images(folder)
    assert list(found) == [f"{digit}/{slot:05d}.png" for digit in range(10) for slot in range(IPC)]
    for pixels, stored in zip(expected.transpose(0, 2, 3, 1), found.values(), strict=True):
        np.testing.assert_array_equal(stored, pixels)
    rows = [json.loads(line) for line in (folder / "train/metadata.jsonl").read_text().splitlines()]
    assert {row["class_name"] for row in rows[:IPC]} == {"zero"} and rows[-1]["label"] == 9
    clipped = int(((final < 0) | (final > 1)).sum())
    assert clipped and list(read_notes(folder).values()) == [clipped]
    assert (folder / distilled.SHEET).is_file()


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda pixels: pixels[:-1], "torch.float32 [19, 3, 8, 8]"),
        (lambda pixels: (255 * pixels).byte(), "torch.uint8 [20, 3, 8, 8]"),
        (lambda pixels: pixels / 0.0, "NaN or infinity"),
    ],
)
def test_wrong_images_of_an_optimisation_are_named(world: World, change: Any, got: str) -> None:
    world.painted.CHANGE = change
    with pytest.raises(UvlpError) as caught:
        world.made("painted")
    assert "painted" in caught.value.what and caught.value.got == got


def test_an_image_of_one_colour_stops_with_its_name(world: World) -> None:
    world.painted.CHANGE = lambda pixels: torch.cat([pixels[:-1], torch.zeros_like(pixels[:1])])
    with pytest.raises(UvlpError) as caught:
        world.made("painted")
    assert "9/00001.png" in caught.value.what and "black" in caught.value.what


def test_sampled_images_may_come_in_any_order(world: World) -> None:
    found = images(world.made("drawn"))
    assert list(found) == [f"{digit}/{slot:05d}.png" for digit in range(10) for slot in range(IPC)]
    for row, stored in enumerate(found.values()):
        expected = np.random.default_rng(row).integers(0, 255, (8, 9, 3))
        np.testing.assert_array_equal(stored, expected)


def test_finished_batches_are_not_sampled_again(world: World) -> None:
    def stop(rows: list[int], images: list[np.ndarray]) -> Any:
        if rows == [10, 11]:
            raise KeyboardInterrupt
        return rows, images

    world.drawn.CHANGE = stop
    with pytest.raises(KeyboardInterrupt):
        world.made("drawn")
    assert world.drawn.CALLS[-1] == [10, 11]
    world.drawn.CHANGE, world.drawn.CALLS = (lambda *batch: batch), world.drawn.CALLS
    world.drawn.CALLS.clear()
    found = images(world.made("drawn"))
    assert world.drawn.CALLS[0] == [10, 11] and len(found) == 20


def test_only_a_damaged_batch_is_sampled_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(distilled, "finish", interrupted)
        world.made("drawn")
    flip(world.store.partial(world.task("drawn")) / "parts/00000004/7/00000.png")
    world.drawn.CALLS.clear()
    expected = images(World(world.store.root.parent / "other", world.painted, world.drawn).made("drawn"))
    world.drawn.CALLS.clear()
    found = images(world.made("drawn"))
    assert world.drawn.CALLS == [[14, 15]]
    assert {name: image.tobytes() for name, image in found.items()} == {
        name: image.tobytes() for name, image in expected.items()
    }


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "change",
    [
        lambda rows, images: (rows[:1], images),
        lambda rows, images: ([row + 2 for row in rows], images),
        lambda rows, images: ([18, 18], images),
        lambda rows, images: images,
        lambda rows, images: (rows, [image[..., 0] for image in images]),
        lambda rows, images: (rows, [image.astype(float) for image in images]),
        lambda rows, images: ([18, 19], images),
    ],
)
def test_wrong_batches_are_named(world: World, change: Any) -> None:
    world.drawn.CHANGE = change
    with pytest.raises(UvlpError) as caught:
        world.made("drawn")
    assert "drawn" in caught.value.what


def test_missing_images_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def few(inputs: Any, settings: Any, progress: Any, done: int) -> Iterator[Any]:
        yield [0], [np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)]

    monkeypatch.setattr(world.drawn, "sample", few)
    declared_method.cache_clear()
    with pytest.raises(UvlpError) as caught:
        world.made("drawn")
    assert caught.value.got == "1 of them"
