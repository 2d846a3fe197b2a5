"""Images of a program: arrays, tensors and datasets become folders; what cannot be used is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import uvlp
from uvlp.api.inputs import folders
from uvlp.api.keywords import request_of
from uvlp.core.errors import UvlpError
from uvlp.recipes.requests.request import Request

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(20) % 10


def request(tmp_path: Path) -> Request:
    return Request(dataset="digits", store=str(tmp_path / "store"))


def kept(tmp_path: Path, images: Any, labels: Any = None) -> Path:
    (row,) = folders(images, labels, "mine", request(tmp_path))
    name, _, folder = row.partition("=")
    assert name == "mine"
    return Path(folder)


def content(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images by class, and their labels."""
    files = sorted(folder.glob("*/*.png"))
    return np.stack([np.asarray(Image.open(path)) for path in files]), np.array(
        [int(path.parent.name) for path in files]
    )


class Dataset:
    """As of torch: items by index, and a length."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of a file."""
    with np.load(path, allow_pickle=False) as found:
        return found["images"], found["labels"]


def pictures() -> Iterator[tuple[str, Any]]:
    yield "pictures", [(Image.fromarray(one), 1 * k) for one, k in zip(PIXELS, LABELS, strict=True)]
    yield (
        "columns",
        [{"image": Image.fromarray(one), "label": k} for one, k in zip(PIXELS, LABELS, strict=True)],
    )
    tensors = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    yield "tensors", list(zip(tensors, torch.from_numpy(LABELS), strict=True))


@pytest.mark.parametrize("dataset", [pytest.param(Dataset(rows), id=name) for name, rows in pictures()])
def test_every_dataset_of_the_same_pictures_is_the_same_folder(tmp_path: Path, dataset: Dataset) -> None:
    folder = kept(tmp_path, dataset)
    found, of = content(folder)
    order = np.argsort(LABELS, kind="stable")
    assert np.array_equal(found, PIXELS[order]) and np.array_equal(of, LABELS[order])
    assert folder == kept(tmp_path, Dataset(next(pictures())[1])), "named by their hash"
    assert folder.parent == tmp_path / "store" / "datasets"


def test_a_dataset_of_the_library_datasets(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)})
    images = [Image.fromarray(one) for one in PIXELS]
    made = datasets.Dataset.from_dict({"image": images, "label": LABELS.tolist()}, features=features)
    assert kept(tmp_path, made) == kept(tmp_path, Dataset(next(pictures())[1]))


WIDE = np.random.default_rng(1).normal(0, 1, (20, 3, 8, 8)).astype(np.float32)


def forms() -> Iterator[tuple[str, Any, Any]]:
    yield "array", WIDE, LABELS
    yield "tensor", torch.from_numpy(WIDE), torch.from_numpy(LABELS)
    yield "with a gradient", torch.from_numpy(WIDE).requires_grad_(), list(LABELS)
    yield "list of tensors", list(torch.from_numpy(WIDE)), torch.from_numpy(LABELS)
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(WIDE), torch.from_numpy(LABELS))
    yield "dataset of torch", tensors, None


@pytest.mark.parametrize(("images", "labels"), [pytest.param(*rest, id=name) for name, *rest in forms()])
def test_every_form_of_the_same_floats_is_the_same_file(tmp_path: Path, images: Any, labels: Any) -> None:
    stated = Request(dataset="digits", store=str(tmp_path / "store"), normalised="none")
    (row,) = folders(images, labels, "mine", stated)
    path = Path(row.partition("=")[2])
    found, of = read(path)
    assert found.dtype == np.float32 and np.array_equal(found, WIDE), "neither clamped nor rounded"
    assert np.array_equal(of, LABELS)
    assert folders(WIDE, LABELS, "mine", stated) == (row,), "named by their content"


def test_arrays_are_kept_as_they_are(tmp_path: Path) -> None:
    soft = np.eye(10, dtype=np.float32)[LABELS]
    for images, labels in ((PIXELS, LABELS), (PIXELS[..., 0], LABELS), (PIXELS / 256, soft)):
        found, of = read(kept(tmp_path, images, labels))
        assert found.dtype == images.dtype and np.array_equal(found, images) and np.array_equal(of, labels)


def test_soft_labels_of_a_dataset(tmp_path: Path) -> None:
    soft = torch.eye(10)[torch.from_numpy(LABELS)]
    rows = torch.utils.data.TensorDataset(torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255, soft)
    assert np.array_equal(read(kept(tmp_path, rows))[1], soft.numpy())


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((0.5, 0.25), "0.5,0.25"),
        ([np.float64(0), 1], "0.0,1.0"),
        (((0.1, 0.2, 0.3), np.array([1, 2, 3])), "0.1,0.2,0.3,1.0,2.0,3.0"),
        ("none", "none"),
    ],
)
def test_a_normalisation_is_numbers_or_text(given: Any, text: str) -> None:
    assert Request(dataset="digits", normalised=given).normalised == text


def test_kept_images_are_left_alone_unless_they_were_edited(tmp_path: Path) -> None:
    dataset = Dataset(next(pictures())[1])
    folder = kept(tmp_path, dataset)
    before = {path: path.stat().st_ino for path in folder.rglob("*")}
    kept(tmp_path, dataset)
    assert {path: path.stat().st_ino for path in folder.rglob("*")} == before, "another call may read them"
    first = min(folder.glob("*/*.png"))
    first.write_bytes(b"edited")
    (first.parent / "more.png").write_bytes(b"added")
    images, labels = content(kept(tmp_path, dataset))
    assert len(images) == len(PIXELS) and sorted(labels) == sorted(LABELS)


def test_paths_are_passed_on_as_on_the_command_line(tmp_path: Path) -> None:
    assert folders("a", None, "x", request(tmp_path)) == ("a",)
    assert folders(["hf://a/b@c", Path("n=x,y")], None, "x", request(tmp_path)) == ("hf://a/b@c", "n=x,y")


@pytest.mark.parametrize(
    ("images", "labels", "what", "got"),
    [
        (PIXELS[0, 0], LABELS, "the images: images of a wrong shape", None),
        (PIXELS[:0], LABELS[:0], "the images: images of a wrong shape", None),
        (np.zeros((2, 8, 8, 4), np.uint8), [0, 1], "the images: images of a wrong shape", None),
        (np.zeros((2, 3, 8, 3), np.uint8), [0, 1], "the images: the order of the axes is ambiguous", None),
        (PIXELS.astype(np.int64), LABELS, "the images: images of another dtype", "int64"),
        (PIXELS > 9, LABELS, "the images: images of another dtype", "bool"),
        (np.array(["a", "b"]), [0, 1], "the images: images of another dtype", "<U1"),
        ([[1, 2], [3]], [0, 1], "images that are no array", "list"),
        (WIDE, LABELS, "the images: float images outside [0, 1]", None),
        (WIDE * np.nan, LABELS, "the images: values that are not finite", None),
        (PIXELS, None, "the images have no labels", None),
        (PIXELS, LABELS[:-1], "the labels: another number of labels than images", 19),
        (PIXELS, LABELS / 1, "the labels: labels of a wrong dtype", None),
        (PIXELS, np.zeros((5, 20, 10), np.float32), "the labels: not one label per image", None),
        (PIXELS, np.zeros((20, 9), np.float32), "the labels: soft labels of a wrong shape or dtype", None),
        (PIXELS, np.eye(10)[LABELS] * 5, "the labels: soft labels that are no probabilities", None),
        (PIXELS, LABELS + 1, "the labels: a label that is no class of the dataset", 10),
        (PIXELS, LABELS - 1, "the labels: a label that is no class of the dataset", -1),
        (Dataset([(PIXELS[0], 10)]), None, "the label of image 0 is out of range", 10),
        (Dataset([(PIXELS[0], 0.5)]), None, "the label of image 0 is no class index", None),
        (Dataset([(PIXELS[0], 0), (WIDE[0], 1)]), None, "the dtype of image 1 is not supported", "float32"),
        (Dataset([(WIDE[0], 0), (WIDE[1, :2], 1)]), None, "image 1 is not like image 0", None),
        (Dataset([(np.zeros((8, 8, 4), np.uint8), 0)]), None, "images without channels", (8, 8, 4)),
        (Dataset([]), None, "there are no images", 0),
        (Dataset([PIXELS[0]]), None, "item 0 of the dataset is no image with a label", "ndarray"),
        (
            Dataset([{"img": PIXELS[0], "class": 0}]),
            None,
            "the dataset has no columns of these names",
            "img, class",
        ),
        (Dataset([(PIXELS, 0)]), None, "the shape of image 0 is not supported", (20, 8, 8, 3)),
        ((image for image in PIXELS), None, "these images cannot be read twice", "generator"),
        (b"\x80\x04.", None, "these are no images", "bytes"),
        (None, None, "these are no images", "NoneType"),
        ([], None, "there are no images", 0),
        ("folder", LABELS, "labels beside folders, which are the classes themselves", "folder"),
    ],
)
def test_wrong_images_are_named(tmp_path: Path, images: Any, labels: Any, what: str, got: object) -> None:
    with pytest.raises(UvlpError) as caught:
        kept(tmp_path, images, labels)
    assert caught.value.what == what and (got is None or caught.value.got == got)
    assert not list((tmp_path / "store").glob("datasets/*s-*"))


class Changing(Dataset):
    """Draws noise whenever it is read, from the ``first`` item on."""

    def __init__(self, first: int, floats: bool) -> None:
        images = PIXELS / np.float32(255) if floats else PIXELS
        super().__init__([(image, label) for image, label in zip(images, LABELS, strict=True)])
        self.first, self.random = first, np.random.default_rng(0)

    def __getitem__(self, index: int) -> Any:
        image, label = self.items[index]
        noise = self.random.integers(0, 2, image.shape, dtype=np.uint8)
        changed = image * noise
        return (changed if index >= self.first else image), label


@pytest.mark.parametrize("floats", [False, True])
def test_a_dataset_that_changes_on_a_second_reading_is_refused(tmp_path: Path, floats: bool) -> None:
    with pytest.raises(UvlpError) as caught:
        kept(tmp_path, Changing(7, floats))
    assert (caught.value.what, caught.value.got) == ("the images change on a second reading", "item 7")
    assert not list((tmp_path / "store").glob("datasets/*s-*"))


@pytest.mark.parametrize("name", ["a=b", "a/b"])
def test_a_name_that_would_be_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UvlpError) as caught:
        folders(PIXELS, LABELS, name, request(tmp_path))
    assert caught.value.got == name


def test_wrong_calls_raise_one_clear_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    misspelt: dict[str, Any] = {"metod": "uvlp"}
    refused: list[tuple[Any, str]] = [
        (lambda: uvlp.evaluate(PIXELS, LABELS, store=store), "the dataset is missing"),
        (lambda: uvlp.evaluate(PIXELS, LABELS, dataset="digitz", store=store), "unknown dataset"),
        (lambda: uvlp.evaluate("x.pkl", dataset="digits", store=store), "not found"),
        (lambda: uvlp.reproduce("digits", store=store), "the number of images per class is missing"),
        (lambda: uvlp.reproduce("digits", 10, **misspelt, store=store), "unknown keyword"),
        (lambda: uvlp.reproduce("digits", 10, method="uvpl", store=store), "unknown method"),
        (lambda: uvlp.reproduce("digits", 10, set={"uvlp.topk": 3}, store=store), "unknown setting"),
        (lambda: uvlp.reproduce(artifact="x", store=store), "no run in the store"),
        (lambda: uvlp.reproduce(artifact="x", config="y", store=store), "config with artifact"),
        (lambda: uvlp.table("digits-ipc10", store=store), "no such table"),
        (lambda: uvlp.Store(store).image_set("uvlp-seed-0"), "nothing is finished in this store"),
        (lambda: uvlp.Store(""), "--store is empty"),
    ]
    for call, what in refused:
        with pytest.raises(uvlp.UvlpError) as caught:
            call()
        assert what in caught.value.what, caught.value
    assert capfd.readouterr() == ("", "")


def test_a_store_is_a_path_or_a_store(tmp_path: Path) -> None:
    given = (str(tmp_path), tmp_path, uvlp.Store(tmp_path))
    asked = [request_of({"dataset": "digits"}, {"store": store}, "tabulate").store for store in given]
    assert asked == [str(tmp_path)] * 3
    with pytest.raises(UvlpError) as caught:
        request_of({"dataset": "digits"}, {"store": 3}, "tabulate")
    assert caught.value.got == 3
