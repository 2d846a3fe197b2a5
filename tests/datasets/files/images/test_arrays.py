"""A dataset of arrays: names and labels come from the manifest, images are read once."""

from __future__ import annotations

import numpy as np

from uvlp.artifacts.checks.opened import checked
from uvlp.artifacts.dataset import ClassInfo, DatasetManifest
from uvlp.datasets.files.images.arrays import Arrays

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


def test_images_are_sorted_by_class_and_read_once() -> None:
    made: list[str] = []

    def read(split: str) -> np.ndarray:
        made.append(split)
        count = MANIFEST.count(split)
        return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), dtype=np.uint8)

    dataset = checked(Arrays(MANIFEST, read), "x", "x.py")
    assert dataset.files("train") == ("train/a/0000.png", "train/a/0001.png", "train/b/0000.png")
    assert dataset.labels("train") == (0, 0, 1) and dataset.captions() is None and not made
    assert [int(image.max()) for image in dataset.originals("train", [2, 0])] == [2, 0]
    assert dataset.images("train", [1], 4).tolist() == np.ones((1, 4, 4, 3)).tolist()
    assert made == ["train"]
