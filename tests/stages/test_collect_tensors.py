"""Stage collect on a file of tensors: the values are stored as they are, and trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uvlp.artifacts import distilled
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.folders.images import find, hashes
from uvlp.recipes.requests.reading import Reading
from uvlp.stages import collect

SPEC = DatasetSpec(name="digits")
LABELS = np.tile(np.arange(10), 2)
WIDE = np.random.default_rng(0).normal(0, 2, (20, 3, 6, 5)).astype(np.float32)
STATED = Reading(stated=True)


def stored(path: Path, store: Path, reading: Reading, **more: Any) -> tuple[Path, Task]:
    cache = Store(store).cache
    manifest = open_dataset(SPEC, cache, Progress()).manifest
    facts, _ = find(path, manifest.classes, cache, Progress(), reading=reading, **more)
    task = Task(
        kind=distilled.KIND,
        stage="collect",
        facts=facts,
        dataset=manifest.content_hash,
        dataset_spec=SPEC,
        origins={"images": str(path)},
    )
    folder = store / "made"
    folder.mkdir(parents=True)
    work = Work(task=task, folder=folder, store=Store(store), progress=Progress(), open_dataset=open_dataset)
    collect.run(work)
    return folder, task


def test_float_pixels_are_stored_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, images=WIDE, labels=LABELS)
    folder, task = stored(path, tmp_path / "store", STATED)
    path.unlink()
    entries = distilled.read_entries(folder)
    assert [(each.label, each.source) for each in entries[:3]] == [
        (0, "images[0]"),
        (0, "images[10]"),
        (1, "images[1]"),
    ]
    rows = [int(each.source[7:-1]) for each in entries]
    floats = distilled.read_floats(folder, entries)
    np.testing.assert_array_equal(np.stack(floats), WIDE[rows].transpose(0, 2, 3, 1))
    assert task.facts["tensor"] == {"layout": "nchw", "labels": "integers", "mean": (), "std": ()}
    assert distilled.soft_labels(folder) is None and (folder / distilled.SHEET).is_file()
    seen = distilled.read_image(folder, entries[0])
    np.testing.assert_array_equal(seen, np.rint(floats[0].clip(0, 1) * 255).astype(np.uint8))


def test_bytes_become_the_image_files_of_a_folder(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=pixels, labels=LABELS)
    folder, _ = stored(tmp_path / "a.npz", tmp_path / "store", Reading())
    assert not (folder / distilled.TENSORS).exists()
    with Image.open(folder / "train" / "3" / "00001.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[13])


def test_soft_labels_lie_in_the_order_of_the_rows(tmp_path: Path) -> None:
    logits = np.random.default_rng(1).normal(0, 1, (20, 10)).astype(np.float32) + 9 * np.eye(10)[LABELS]
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=pixels, labels=logits.astype(np.float32))
    folder, _ = stored(tmp_path / "a.npz", tmp_path / "store", Reading(label_kind="logits", temperature=4.0))
    soft = distilled.soft_labels(folder)
    assert soft is not None and soft[1] == 4.0 and soft[0].shape == (20, 10)
    rows = [int(each.source[7:-1]) for each in distilled.read_entries(folder)]
    powers = np.exp(logits[rows] / 4)
    np.testing.assert_allclose(soft[0], powers / powers.sum(1, keepdims=True), rtol=1e-5)
    assert distilled.tensor_names(folder) == frozenset()


def test_a_file_that_changed_since_it_was_hashed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, images=WIDE, labels=LABELS)
    cache = Store(tmp_path / "store").cache
    classes = open_dataset(SPEC, cache, Progress()).manifest.classes
    facts, _ = find(path, classes, cache, Progress(), reading=STATED)
    np.savez(path, images=WIDE + 1, labels=LABELS)
    task = Task(
        kind=distilled.KIND, stage="collect", facts=facts, dataset_spec=SPEC, origins={"images": str(path)}
    )
    work = Work(
        task=task,
        folder=tmp_path,
        store=Store(tmp_path / "store"),
        progress=Progress(),
        open_dataset=lambda *_: open_dataset(SPEC, cache, Progress()),
    )
    with pytest.raises(UvlpError) as caught:
        collect.run(work)
    assert caught.value.what == "a file changed while it was read"


def test_an_image_of_one_colour_is_refused(tmp_path: Path) -> None:
    flat = WIDE.copy()
    flat[7] = 0.5
    np.savez(tmp_path / "a.npz", images=flat, labels=LABELS)
    with pytest.raises(UvlpError) as caught:
        stored(tmp_path / "a.npz", tmp_path / "store", STATED)
    assert "images[7] is of one colour" in caught.value.what


def test_what_was_stated_is_in_the_key(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, images=WIDE, labels=LABELS)
    cache = Store(tmp_path / "store").cache
    classes = open_dataset(SPEC, cache, Progress()).manifest.classes
    readings = [STATED, Reading(stated=True, mean=(0.5,) * 3, std=(0.2,) * 3)]
    found = [find(path, classes, cache, Progress(), reading=each)[0] for each in readings]
    assert found[0]["content"] == found[1]["content"]
    assert len({Task(kind="distilled", stage="collect", facts=each).key for each in found}) == 2
    pictures = [hashes(path, classes, cache, Progress(), each) for each in found]
    assert len(pictures[0]) == 20 and not pictures[0] & pictures[1]
