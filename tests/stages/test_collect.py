"""Stage collect: the image folder of any method becomes an independent artifact."""

import json
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from uvlp.artifacts import distilled
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work, read_notes
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import file_sha256
from uvlp.core.progress import Progress
from uvlp.datasets.files.class_folders import content_hash
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.folders.images import find
from uvlp.stages import collect

SPEC = DatasetSpec(name="digits")
DIGITS = [str(digit) for digit in range(10)]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two images of different sizes for each of the ten digits, in folders named by index."""
    root = tmp_path / "images"
    for label in range(10):
        (root / f"{label:05d}").mkdir(parents=True)
        for slot in range(2):
            pixels = noise(6 + label, 9, 3, seed=10 * label + slot)
            Image.fromarray(pixels).save(root / f"{label:05d}" / f"{slot}.png")
    return root


def task(path: Path, store: Path, **more: Any) -> Task:
    """The task as planned by a command."""
    cache = Store(store).cache
    manifest = open_dataset(SPEC, cache, Progress()).manifest
    facts, _ = find(path, manifest.classes, cache, Progress(), **more)
    return Task(
        kind=distilled.KIND,
        stage="collect",
        revision=collect.REVISION,
        schema=distilled.SCHEMA,
        facts=facts,
        dataset=manifest.content_hash,
        dataset_spec=SPEC,
        origins={"images": str(path)},
    )


def run(made: Task, store: Path, name: str = "made") -> Path:
    folder = store / name
    folder.mkdir(parents=True)
    collect.run(
        Work(task=made, folder=folder, store=Store(store), progress=Progress(), open_dataset=open_dataset)
    )
    return folder


def refusal(made: Task, store: Path) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        run(made, store)
    assert "\n" not in str(caught.value)
    return caught.value


def test_images_are_stored_unchanged_and_independent_of_the_folder(path: Path, tmp_path: Path) -> None:
    folder = run(task(path, tmp_path), tmp_path)
    shutil.rmtree(path)
    entries = distilled.read_entries(folder)
    assert [(entry.file_name, entry.label, entry.source) for entry in entries] == [
        (f"{label}/{slot:05d}.png", label, f"{label:05d}/{slot}.png")
        for label in range(10)
        for slot in (0, 1)
    ]
    assert [entry.class_name for entry in entries[:4]] == ["zero", "zero", "one", "one"]
    for entry in entries:
        expected = noise(6 + entry.label, 9, 3, seed=10 * entry.label + int(entry.file_name[-5]))
        assert np.array_equal(distilled.read_image(folder, entry), expected)
    assert read_notes(folder) == {}


def test_torchvision_loads_the_artifact(path: Path, tmp_path: Path) -> None:
    folder = run(task(path, tmp_path), tmp_path)
    images = ImageFolder(str(folder / "train"))
    assert images.classes == DIGITS and len(images) == 20
    with Image.open(folder / distilled.SHEET) as sheet:
        step_px = distilled.SHEET_CELL_PX + distilled.SHEET_GAP_PX
        assert sheet.size == (2 * step_px, 10 * step_px)


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


def test_the_path_of_the_folder_has_no_effect(path: Path, tmp_path: Path) -> None:
    first = task(path, tmp_path)
    made = digests(run(first, tmp_path, "first"))
    moved = task(path.rename(tmp_path / "moved"), tmp_path)
    assert moved.key == first.key
    assert digests(run(moved, tmp_path, "second")) == made


def test_an_artifact_can_be_collected_again(path: Path, tmp_path: Path) -> None:
    folder = run(task(path, tmp_path), tmp_path)
    again = run(task(folder, tmp_path), tmp_path, "again")
    pixels = {name: sha256 for name, sha256 in digests(folder).items() if name.endswith(".png")}
    assert pixels == {name: sha256 for name, sha256 in digests(again).items() if name.endswith(".png")}


def test_the_stage_repeats_the_draw(path: Path, tmp_path: Path) -> None:
    made = task(path, tmp_path, ipc=1, select="drawn", seed=3)
    assert {name: made.facts[name] for name in ("ipc", "select", "seed")} == {
        "ipc": 1,
        "select": "drawn",
        "seed": 3,
    }
    entries = distilled.read_entries(run(made, tmp_path))
    assert [entry.label for entry in entries] == list(range(10))
    assert {Path(entry.source).name for entry in entries} == {"0.png", "1.png"}


def test_options_without_effect_are_not_in_the_facts(path: Path, tmp_path: Path) -> None:
    plain, explicit = task(path, tmp_path), task(path, tmp_path, ipc=2, select="drawn", seed=3)
    assert plain.facts == explicit.facts and set(plain.facts) == {"ipc", "select", "content"}
    assert task(path, tmp_path, ipc=1).facts["content"] != plain.facts["content"]


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.fromarray(noise(4, 8, 3)).save(path, exif=exif)


def palette(path: Path) -> None:
    Image.fromarray(noise(8, 8)).convert("P").save(path)


@pytest.mark.parametrize(
    ("save", "notes"),
    [
        (lambda path: Image.fromarray(noise(8, 8)).save(path), {"grey images converted to RGB": 1}),
        (
            lambda path: Image.fromarray(noise(8, 8).astype(np.uint16) * 257).save(path),
            {"grey images converted to RGB": 1},
        ),
        (
            lambda path: Image.fromarray(noise(8, 8, 4)).save(path),
            {"images with an alpha channel put over white": 1},
        ),
        (
            lambda path: Image.fromarray(noise(8, 8, 2)).save(path),
            {"images with an alpha channel put over white": 1},
        ),
        (palette, {}),
        (turned, {}),
    ],
    ids=["grey", "16-bit grey", "alpha", "grey with alpha", "palette", "turned"],
)
def test_images_of_other_modes_are_converted_and_counted(
    save: Callable[[Path], None], notes: dict[str, int], path: Path, tmp_path: Path
) -> None:
    from uvlp.datasets.files.images.image_files import load_rgb

    victim = path / "00004" / "1.png"
    save(victim)
    folder = run(task(path, tmp_path), tmp_path)
    assert read_notes(folder) == notes
    with Image.open(folder / "train/4/00001.png") as kept:
        assert (kept.mode, kept.info) == ("RGB", {})
        assert np.array_equal(np.asarray(kept), np.asarray(load_rgb(victim)))
        assert kept.size == ((4, 8) if save is turned else (8, 8))


def test_conversions_are_added_up(path: Path, tmp_path: Path) -> None:
    for slot in (0, 1):
        Image.fromarray(noise(8, 8)).save(path / "00000" / f"{slot}.png")
    Image.fromarray(noise(8, 8, 4)).save(path / "00001/0.png")
    notes = json.loads((run(task(path, tmp_path), tmp_path) / "notes.json").read_text())
    assert notes == {"grey images converted to RGB": 2, "images with an alpha channel put over white": 1}


@pytest.mark.parametrize(
    ("pixels", "problem"),
    [
        (np.zeros((8, 8, 3), np.uint8), "is black"),
        (np.full((8, 8, 3), (200, 0, 0), np.uint8), "is of one colour"),
        (np.zeros((8, 8), np.uint8), "is black"),
        (np.dstack([noise(8, 8, 3), np.zeros((8, 8), np.uint8)]), "is of one colour"),
    ],
    ids=["black", "red", "black grey", "fully transparent"],
)
def test_an_image_without_content_is_refused(
    pixels: np.ndarray, problem: str, path: Path, tmp_path: Path
) -> None:
    victim = path / "00007" / "1.png"
    Image.fromarray(pixels).save(victim)
    assert refusal(task(path, tmp_path), tmp_path).what == f"the image {victim} {problem}"


@pytest.mark.parametrize("content", [b"", b"hello"], ids=["empty", "text"])
def test_a_file_that_is_not_an_image_stops_planning(content: bytes, path: Path, tmp_path: Path) -> None:
    victim = path / "00002" / "0.png"
    victim.write_bytes(content)
    with pytest.raises(UvlpError) as caught:
        task(path, tmp_path)
    assert caught.value.what == f"cannot read the image {victim}"
    assert caught.value.fix == "replace or delete it"


def test_a_truncated_image_stops_by_name(path: Path, tmp_path: Path) -> None:
    victim = path / "00002" / "0.png"
    victim.write_bytes(victim.read_bytes()[:120])
    assert refusal(task(path, tmp_path), tmp_path).what == f"cannot read the image {victim}"


def test_a_folder_that_changed_since_planning_is_refused(path: Path, tmp_path: Path) -> None:
    made = task(path, tmp_path)
    Image.fromarray(noise(9, 9, 3, seed=99)).save(path / "00002/0.png")
    assert refusal(made, tmp_path).got == str(path)


def test_an_image_that_changes_while_it_is_copied_is_refused(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, victim = task(path, tmp_path), path / "00002/0.png"

    def change_after(*arguments: Any) -> Any:
        result = content_hash(*arguments)
        Image.fromarray(noise(9, 9, 3, seed=99)).save(victim)
        return result

    monkeypatch.setattr(collect, "content_hash", change_after)
    with pytest.raises(UvlpError) as caught:
        run(made, tmp_path)
    assert caught.value.got == str(victim)


def test_a_deleted_folder_is_refused(path: Path, tmp_path: Path) -> None:
    made = task(path, tmp_path)
    shutil.rmtree(path)
    assert refusal(made, tmp_path).got == str(path)


def test_the_origin_is_not_part_of_the_key(path: Path, tmp_path: Path) -> None:
    made = task(path, tmp_path)
    assert replace(made, origins={"images": "/elsewhere"}).key == made.key


def test_only_one_image_is_in_memory_at_a_time(path: Path, tmp_path: Path) -> None:
    image = Image.new("RGB", (512, 512))
    image.putpixel((0, 0), (255, 255, 255))
    for label in range(10):
        for slot in range(3):
            image.save(path / f"{label:05d}" / f"{slot}.png")
    made = task(path, tmp_path)
    run(made, tmp_path, "warm")  # imports of the first call are not measured
    tracemalloc.start()
    run(made, tmp_path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 6 * 512 * 512 * 3, "30 images would be 30 times 786 kB"
