"""tiny-imagenet: classes of validation images, both layouts, errors, download."""

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from PIL import Image

from tests.datasets.files.file_server import serving
from tests.datasets.published import jpeg, opened, refusal
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core.progress import Progress
from uvlp.datasets import tiny_imagenet
from uvlp.datasets.files.class_lists import wordnet_classes

IDS = [entry.id for entry in wordnet_classes("tinyimagenet")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The archive's layout, one training and one validation image per class, the latter in reverse order."""
    root = tmp_path / "tiny-imagenet-200"
    for number, identity in enumerate(IDS):
        (root / "train" / identity / "images").mkdir(parents=True)
        (root / "train" / identity / "images" / f"{identity}_0.JPEG").write_bytes(jpeg(number, (64, 64)))
        (root / "train" / identity / f"{identity}_boxes.txt").write_text("boxes")
    (root / "val/images").mkdir(parents=True)
    lines = []
    for number, identity in enumerate(reversed(IDS)):
        (root / f"val/images/val_{number}.JPEG").write_bytes(jpeg(1000 + number, (64, 64)))
        lines.append(f"val_{number}.JPEG\t{identity}\t0\t0\t62\t61\n")
    (root / "val/val_annotations.txt").write_text("".join(lines))
    return root


def test_validation_images_get_their_listed_classes(root: Path, cache: Path) -> None:
    dataset = opened("tiny-imagenet", root.parent, cache)
    manifest = dataset.manifest
    assert [entry.id for entry in manifest.classes] == IDS
    assert {(entry.train, entry.val) for entry in manifest.classes} == {(1, 1)}
    assert manifest.image_px == 64
    assert manifest.notes == (
        "train/ has 200 images, tiny-imagenet has 100,000",
        "val/ has 200 images, tiny-imagenet has 10,000",
    )
    assert dataset.files("train")[0] == f"train/{IDS[0]}/images/{IDS[0]}_0.JPEG"
    assert dataset.files("val")[0] == f"val/{IDS[0]}/val_199.JPEG"
    assert dataset.labels("val") == tuple(range(200))
    expected = numpy.asarray(Image.open(root / "val/images/val_199.JPEG"))
    numpy.testing.assert_array_equal(dataset.originals("val", [0])[0], expected)
    assert opened("tiny-imagenet", root, cache).manifest == manifest


def test_sorted_validation_images_give_the_same_dataset(root: Path, cache: Path) -> None:
    before = opened("tiny-imagenet", root, cache)
    for name in before.files("val"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / "val/images" / Path(name).name).rename(root / name)
    (root / "val/images").rmdir()
    (root / "val/val_annotations.txt").unlink()
    after = opened("tiny-imagenet", root, cache)
    assert after.files("val") == before.files("val")
    assert after.manifest.content_hash == before.manifest.content_hash


def test_an_image_without_an_annotation_is_refused(root: Path, cache: Path) -> None:
    (root / "val/images/val_777.JPEG").write_bytes(jpeg(0))
    assert refusal("tiny-imagenet", root, cache).got == "val/images/val_777.JPEG"


def test_an_annotation_of_an_unknown_class_is_refused(root: Path, cache: Path) -> None:
    with (root / "val/val_annotations.txt").open("a") as file:
        file.write("val_0.JPEG\tn99999999\t0\t0\t1\t1\n")
    error = refusal("tiny-imagenet", root, cache)
    assert "val_annotations.txt, line 201" in error.what and "n99999999" in str(error.got)


def test_a_class_without_validation_images_is_refused(root: Path, cache: Path) -> None:
    (root / "val/images/val_0.JPEG").unlink()
    assert refusal("tiny-imagenet", root, cache).got == IDS[-1]


def test_a_class_without_a_folder_is_refused(root: Path, cache: Path) -> None:
    (root / "train" / IDS[7]).rename(root / "gone")
    assert IDS[7] in str(refusal("tiny-imagenet", root, cache).got)


def test_a_missing_dataset_suggests_the_download(tmp_path: Path, cache: Path) -> None:
    assert "`uvlp fetch tiny-imagenet`" in str(refusal("tiny-imagenet", tmp_path, cache).fix)


def test_fetch_then_open(root: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    spec = DatasetSpec(name="tiny-imagenet", data=str(tmp_path / "data"))
    plan = tiny_imagenet.download(spec)
    assert plan is not None
    assert plan.urls == ("http://cs231n.stanford.edu/tiny-imagenet-200.zip",)
    assert plan.bytes == 248_100_043
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path in sorted(root.rglob("*")):
            file.write(path, path.relative_to(root.parent))
    with serving() as server:
        server.files["tiny-imagenet-200.zip"] = buffer.getvalue()
        own = replace(
            tiny_imagenet.ARCHIVE,
            url=f"{server.url}/tiny-imagenet-200.zip",
            md5=hashlib.md5(buffer.getvalue()).hexdigest(),
        )
        monkeypatch.setattr(tiny_imagenet, "ARCHIVE", own)
        tiny_imagenet.fetch(spec, Progress())
    assert tiny_imagenet.download(spec) is None
    assert opened("tiny-imagenet", tmp_path / "data", cache).manifest.count("val") == 200
