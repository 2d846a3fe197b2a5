"""Datasets of plug-ins with inconsistent manifests or return values are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uvlp.artifacts.checks.opened import checked
from uvlp.artifacts.dataset import ClassInfo, DatasetManifest
from uvlp.core.errors import UvlpError

FILE = "uvlp/datasets/x.py"
MANIFEST = DatasetManifest(
    name="x",
    argument="",
    variant="",
    classes=(
        ClassInfo(id="a", name="a", index=0, train=2, val=1),
        ClassInfo(id="b", name="b", index=1, train=1, val=1),
    ),
    content_hash="0" * 64,
    image_px=8,
    source="a test",
)


class Plain:
    """A valid dataset of black images."""

    def __init__(self, **changes: Any) -> None:
        self.manifest = replace(MANIFEST, **changes)

    def files(self, split: str) -> Any:
        return {"train": ("train/a/0.png", "train/a/1.png", "train/b/0.png")}.get(split, ("val/0", "val/1"))

    def labels(self, split: str) -> Any:
        return {"train": (0, 0, 1)}.get(split, (0, 1))

    def images(self, split: str, indices: Any, size_px: int) -> Any:
        return np.zeros((len(indices), size_px, size_px, 3), dtype=np.uint8)

    def originals(self, split: str, indices: Any) -> Any:
        return [np.zeros((8, 9, 3), dtype=np.uint8) for _ in indices]

    def captions(self) -> Any:
        return None


def test_valid_dataset_is_passed_through() -> None:
    plain = Plain()
    dataset = checked(plain, "x", FILE)
    assert dataset.manifest == plain.manifest and dataset.captions() is None
    for split in ("train", "val"):
        assert dataset.files(split) == plain.files(split) and dataset.labels(split) == plain.labels(split)
    assert dataset.images("train", [0, 2], 4).shape == (2, 4, 4, 3)
    assert [image.shape for image in dataset.originals("val", [1])] == [(8, 9, 3)]


@pytest.mark.parametrize("returned", [None, Path("x"), MANIFEST])
def test_incomplete_dataset_is_refused(returned: object) -> None:
    with pytest.raises(UvlpError) as refused:
        checked(returned, "x", FILE)
    assert refused.value.what == f"{FILE}: open_dataset must return a Dataset"


ONE = MANIFEST.classes[0]


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"name": "y"}, "name 'y', not 'x'"),
        ({"classes": ()}, "no classes"),
        ({"classes": (replace(ONE, id="a/b"),)}, "a class whose id is ['a/b']"),
        ({"classes": (ONE, replace(ONE, index=1))}, "two classes with the same id"),
        ({"classes": (replace(ONE, index=1),)}, "classes whose index is not their position"),
        ({"classes": (replace(ONE, val=-1),)}, "a negative number of images in class ['a']"),
        ({"content_hash": "abc"}, "content_hash 'abc', not a hexadecimal SHA-256"),
        ({"image_px": -1}, "image_px -1"),
    ],
)
def test_inconsistent_manifest_is_refused(changes: dict[str, Any], got: str) -> None:
    with pytest.raises(UvlpError) as refused:
        checked(Plain(**changes), "x", FILE)
    assert refused.value.what == f"{FILE}: invalid manifest of the dataset" and refused.value.got == got


@pytest.mark.parametrize(
    ("name", "returned", "got"),
    [
        ("files", ["train/a/0.png"], "list"),
        ("files", ("train/a/0.png",), "1"),
        ("files", ("train/a", "train/a", "train/b"), "3"),
        ("files", ("train/a", "train/b", "val/c"), ["val/c"]),
        ("labels", [0, 0, 1], "list"),
        ("labels", (0, 0), "2 of them"),
        ("labels", (0, 1, 1), "1 in row 1"),
        ("images", np.zeros((1, 4, 4, 3)), "ndarray float64 [1, 4, 4, 3]"),
        ("images", np.zeros((1, 8, 8, 3), dtype=np.uint8), "ndarray uint8 [1, 8, 8, 3]"),
        ("originals", [], "0 of them"),
        ("originals", [np.zeros((8, 8), dtype=np.uint8)], "ndarray uint8 [8, 8]"),
        ("captions", ["a"], "list"),
    ],
)
def test_return_values_that_contradict_the_manifest_are_refused(name: str, returned: Any, got: Any) -> None:
    plain = Plain()
    setattr(plain, name, lambda *_: returned)
    dataset = checked(plain, "x", FILE)
    arguments = {"images": ("train", [0], 4), "originals": ("train", [0]), "captions": ()}
    with pytest.raises(UvlpError) as refused:
        getattr(dataset, name)(*arguments.get(name, ("train",)))
    assert refused.value.what.startswith(f"{FILE}: {name} must return ")
    assert str(refused.value.got).startswith(str(got))
