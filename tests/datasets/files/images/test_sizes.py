"""A published dataset at an unexpected size is noted, by the dry run and below the table."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.datasets.files.test_image_folder import Call, call as call
from tests.datasets.published import fill, jpeg
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core import plugins
from uvlp.datasets.files.class_lists import numbered_classes, wordnet_classes
from uvlp.pipeline.planning.planner import Planner
from uvlp.recipes import profiles

Size = tuple[int, int]


def images(root: Path, name: str, sizes: Sequence[Size]) -> Path:
    """Create a dataset with one image per class and split, cycling through the sizes."""
    ids = [entry.id for entry in wordnet_classes(name)]
    return fill(root, ids, (1, 1), lambda number: jpeg(number, sizes[number // 2 % len(sizes)]))


def size_notes(call: Call, name: str, data: Path, *options: object) -> list[str]:
    nano = ("--data", data, "--method", "random", "--profile", "nano", "--dry-run")
    answer = call("reproduce", name, "1", *nano, *options)
    assert answer.code == 0, answer.error
    return [note for note in answer.notes if "first images" in note]


NATURAL = [(500, 375), (375, 500), (500, 333), (400, 300), (640, 480), (500, 500)]
"""Typical sizes in ImageNet."""


@pytest.mark.parametrize(
    ("name", "variant", "sizes", "expected"),
    [
        ("imagenette", "", [(213, 160), (160, 240)], "a shorter side of 160 px: this is imagenette2-160"),
        ("imagenette", "", [(427, 320)], "a shorter side of 320 px: this is imagenette2-320"),
        ("imagewoof", "", [(213, 160)] * 9 + [(150, 140)], "this is imagewoof2-160"),
        ("imagewoof", "", [(159, 200), (213, 160), (160, 240), (160, 161)], "this is imagewoof2-160"),
        ("imagewoof", "", [(320, 427), (480, 320)], "this is imagewoof2-320"),
        ("imagenette", "ilsvrc", [(256, 256)], "a shorter side of 256 px: these images were resized"),
        ("imageidc", "", [(64, 64)], "a shorter side of 64 px: these images were resized"),
        ("imageidc", "", [(256, 192), (256, 171), (160, 256)], "a longer side of 256 px"),
        ("imageidc", "", [(150, 100), (120, 90), (80, 70)], "shorter sides of at most 100 px"),
        ("imagenette", "", NATURAL, ""),
        ("imageidc", "", [(500, 375)], ""),
    ],
)
def test_imagenet_at_an_unexpected_size_is_noted(
    name: str, variant: str, sizes: list[Size], expected: str, call: Call, tmp_path: Path
) -> None:
    notes = size_notes(
        call, name, images(tmp_path / "data", name, sizes), *["--variant", variant] * bool(variant)
    )
    assert len(notes) == bool(expected)
    assert all(expected in note and "not the full-size set of the papers" in note for note in notes)


def test_a_resized_split_is_named(call: Call, tmp_path: Path) -> None:
    root = images(tmp_path / "data", "imagenette", NATURAL)
    for path in (root / "val").glob("*/*"):
        path.write_bytes(jpeg(0, (213, 160)))
    (note,) = size_notes(call, "imagenette", root)
    assert "val/: the first images have a shorter side of 160 px" in note


@pytest.mark.parametrize("side_px", [64, 224])
def test_tiny_imagenet_at_an_unexpected_size_is_noted(side_px: int, call: Call, tmp_path: Path) -> None:
    notes = size_notes(call, "tiny-imagenet", images(tmp_path / "data", "tinyimagenet", [(side_px, side_px)]))
    assert len(notes) == (side_px != 64)
    assert all("224 x 224 px, those of the published set 64 x 64 px" in note for note in notes)


@pytest.mark.parametrize("side_px", [32, 96])
def test_a_folder_with_the_classes_of_a_published_dataset_is_checked(
    side_px: int, call: Call, tmp_path: Path
) -> None:
    ids = [entry.id for entry in numbered_classes("cifar10")]
    root = fill(tmp_path / "png", ids, (1, 1), lambda number: jpeg(number, (side_px, side_px)))
    notes = [note for note in call.reproduce(root).notes if "first images" in note]
    assert len(notes) == (side_px != 32)


def test_a_damaged_cache_of_the_notes_is_ignored(call: Call, tmp_path: Path) -> None:
    root = images(tmp_path / "data", "imagenette", [(213, 160)])
    first = size_notes(call, "imagenette", root)
    (record,) = (tmp_path / "store").rglob("sizes-*.json")
    intact = record.read_text()
    (content_hash,) = json.loads(intact)["content"]
    for damage in ("", "[1]", json.dumps({content_hash: [1, 2]}), intact.replace("213", "214")):
        record.write_text(damage)
        assert size_notes(call, "imagenette", root) == first


def test_the_table_has_the_note(tmp_path: Path) -> None:
    images(tmp_path / "data", "imagenette", [(213, 160)])
    spec = DatasetSpec(name="imagenette", data=str(tmp_path / "data"))
    manifest = plugins.load("datasets", "imagenette").open_dataset(spec, tmp_path).manifest
    recipe = profiles.apply(plugins.load("datasets", "imagenette").recipe(1), "nano")
    notes: Any = (
        Planner(recipe=replace(recipe, methods=()), manifest=manifest, spec=spec, find=_no_model)
        .table([])
        .facts["notes"]
    )
    assert [note for note in notes if "this is imagenette2-160" in note]


def _no_model(*_: object) -> Any:
    raise AssertionError("no model is read")
