"""A dataset of arrays: names and labels come from the manifest, images are read once."""

from __future__ import annotations

import numpy as np
import pytest

from uvlp.artifacts.checks.opened import checked
from uvlp.artifacts.dataset import ClassInfo, DatasetManifest
from uvlp.core.errors import UvlpError
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


@pytest.mark.parametrize(
    ("split", "shape", "dtype", "got", "allowed"),
    [
        ("train", (2, 8, 8, 3), "uint8", 2, "3 (2, 1), as the manifest counts them"),
        ("val", (3, 8, 8, 3), "uint8", 3, "2 (1, 1), as the manifest counts them"),
        ("train", (3, 8, 8, 3), "float32", "ndarray float32 [3, 8, 8, 3]", "an ndarray uint8 [N, H, W, 3]"),
        ("train", (3, 8, 8), "uint8", "ndarray uint8 [3, 8, 8]", "an ndarray uint8 [N, H, W, 3]"),
        ("train", (3, 3, 8, 8), "uint8", "ndarray uint8 [3, 3, 8, 8]", "an ndarray uint8 [N, H, W, 3]"),
    ],
)
def test_images_that_the_manifest_does_not_count_are_refused(
    split: str, shape: tuple[int, ...], dtype: str, got: object, allowed: str
) -> None:
    dataset = Arrays(MANIFEST, lambda _: np.zeros(shape, dtype=dtype))
    with pytest.raises(UvlpError) as caught:
        dataset.originals(split, [0])
    assert caught.value.what == f"x: the images of split {split}"
    assert (caught.value.got, caught.value.allowed) == (got, allowed)


def test_a_list_of_images_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        Arrays(MANIFEST, lambda _: [np.zeros((8, 8, 3), dtype=np.uint8)] * 3).images("train", [0], 4)  # type: ignore[arg-type,return-value]
    assert caught.value.got == "list"
