"""Method inputs: rows in visiting order, lazily built classes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.methods.algorithms.golden_cases import Case, golden
from uvlp.artifacts.dataset import ClassInfo
from uvlp.core.errors import UvlpError
from uvlp.methods.algorithms.method_input import build


class Recording:
    """An array that records which of its rows were read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.read = array, array.shape, list[int]()

    def __getitem__(self, rows: Any) -> np.ndarray:
        self.read.extend(rows)
        return self.array[rows]


def dataset(labels: list[int], ids: list[str], names: list[str] | None = None) -> Any:
    infos = tuple(
        ClassInfo(id=name, name=f"the {name}", index=index, train=labels.count(index), val=0)
        for index, name in enumerate(ids)
    )
    files = names or [f"train/{ids[label]}/{row:03d}.png" for row, label in enumerate(labels)]
    return SimpleNamespace(
        manifest=SimpleNamespace(classes=infos),
        files=lambda split: tuple(files),
        labels=lambda split: tuple(labels),
    )


def test_rows_are_in_file_order() -> None:
    given = build(dataset([0, 0, 0, 1, 1], ["a", "b"]), 2, 0, {}, texts=list("vwxyz"), prompts={"b": "B!"})
    first, second = given.classes
    assert first.rows == (0, 1, 2) and second.rows == (3, 4)
    assert second.captions == ("y", "z") and (first.prompt, second.prompt) == ("the a", "B!")
    assert second.synonyms == "the b" and given.last_visited == 1


@golden("loader_order")
def test_the_published_order_is_that_of_the_loader(case: Case) -> None:
    order = case["out.order"].tolist()
    labels = sorted(row % 3 for row in range(len(order)))
    given = build(dataset(labels, ["a", "b", "c"]), 1, case["in.seed"], {}, order="published")
    for data in given.classes:
        assert list(data.rows) == [row for row in order if labels[row] == data.index]
    assert given.last_visited == labels[order[-1]]


def test_the_published_order_is_that_of_image_folder() -> None:
    """Sorted by class id and path, independent of the labels and the order of the files."""
    names = ["train/z/b.png", "train/z/a.png", "train/a/deep/c.png", "train/a/d.png", "train/a/b.png"]
    given = dataset([0, 0, 1, 1, 1], ["z", "a"], names)
    listed = [4, 3, 2, 1, 0]
    plain = dataset([0, 0, 0, 1, 1], ["a", "z"])
    for seed in range(3):
        result = build(given, 1, seed, {}, order="published").classes
        expected = build(plain, 1, seed, {}, order="published").classes
        assert result[1].rows == tuple(listed[row] for row in expected[0].rows)
        assert result[0].rows == tuple(listed[row] for row in expected[1].rows)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        build(dataset([0], ["a"]), 1, 0, {}, order="chance")
    assert (caught.value.got, caught.value.allowed) == ("chance", "file, published")


def test_arrays_are_read_lazily() -> None:
    image = Recording(np.arange(10, dtype=np.float32).reshape(5, 2))
    mean = Recording(np.zeros((5, 4, 1, 1), np.float32))
    deviation = Recording(np.ones((5, 4, 1, 1), np.float32))
    arrays: Any = {"image": image, "mean": mean, "deviation": deviation, "names": np.eye(2)}
    given = build(dataset([0, 0, 0, 1, 1], ["a", "b"]), 1, 0, arrays)
    assert given.names is arrays["names"] and not image.read
    data = given.classes[1]
    np.testing.assert_array_equal(data.image, [[6, 7], [8, 9]])
    assert data.image is data.image and image.read == [3, 4]


def test_classes_are_not_kept_in_memory() -> None:
    arrays = {"image": np.zeros((2, 1), np.float32)}
    given = build(dataset([0, 1], ["a", "b"]), 1, 0, arrays)
    assert given.classes[0] is not given.classes[0]
    assert [data.id for data in given.classes] == [data.id for data in given.classes[:]] == ["a", "b"]


def test_latents_are_drawn_in_visiting_order() -> None:
    mean = np.arange(6, dtype=np.float32).reshape(6, 1, 1, 1) * np.ones((6, 4, 2, 2), np.float32)
    arrays = {"mean": mean, "deviation": np.zeros_like(mean)}
    given = build(dataset([0] * 6, ["a"]), 1, 5, arrays, order="published")
    data = given.classes[0]
    np.testing.assert_array_equal(data.latents[:, 0, 0, 0], data.rows)
    assert sorted(data.rows) == list(range(6)) and data.latents.dtype == np.float32


def test_labels_of_classes_are_not_those_of_rows() -> None:
    given = build(dataset([0, 0, 0, 1, 1], ["a", "b"]), 2, 0, {}, labels=(207, 3))
    assert given.labels == (207, 3) and given.last_visited == 1
