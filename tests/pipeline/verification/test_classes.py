"""Edits of classes: in what is known of the dataset, in labels, and in the images trained on."""

from pathlib import Path

import pytest

from tests.pipeline.verification import editing
from tests.pipeline.verification.editing import Edit, flip, images, of, of_classes, of_entries
from uvlp.artifacts.dataset import ClassInfo, DatasetManifest
from uvlp.pipeline.verification.classes import check_classes
from uvlp.pipeline.verification.contents import Contents
from uvlp.pipeline.verification.datasets import OF_STORE, Known
from uvlp.pipeline.verification.report import Check

EDITS: dict[str, tuple[Edit, str, str]] = {
    "classes of the dataset": (
        lambda root: of_classes(root, editing.exchange_classes),
        "classes",
        "pixels/",
    ),
    "another dataset in the cache": (
        lambda root: of_classes(root, lambda content: content.update(content_hash="f" * 64)),
        "classes",
        "datasets/",
    ),
    "a byte of the cache": (lambda root: flip(next((root / "datasets").iterdir())), "classes", "datasets/"),
    "half a cache": (lambda root: editing.halve(next((root / "datasets").iterdir())), "classes", "datasets/"),
    "labels": (lambda root: editing.relabel(of(root, "pixels")), "classes", "labels.npy"),
    "class of an image": (
        lambda root: of_entries(images(root), lambda rows: rows[0].update(class_name="one")),
        "classes",
        "metadata.jsonl",
    ),
    "a label out of range": (
        lambda root: of_entries(images(root), lambda rows: rows[0].update(label=10)),
        "classes",
        "metadata.jsonl",
    ),
    "an image less": (
        lambda root: of_entries(images(root), lambda rows: rows.pop()),
        "images",
        "metadata.jsonl",
    ),
    "an image in another folder": (
        lambda root: of_entries(images(root), lambda rows: rows[0].update(file_name="9/00000.png")),
        "images",
        "metadata.jsonl",
    ),
    "an image of the whole set less": (
        lambda root: of_entries(of(root, "distilled", method="full"), lambda rows: rows.pop()),
        "images",
        "metadata.jsonl",
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_is_named(root: Path, what: str) -> None:
    change, check, file = EDITS[what]
    change(root)
    editing.named(root, check, file)


@pytest.mark.parametrize(("ids", "findings"), [(("n01440764", "n02102040"), 1), ((), 1)])
def test_classes_are_compared_with_the_published_list(
    tmp_path: Path, ids: tuple[str, ...], findings: int
) -> None:
    classes = tuple(ClassInfo(id=each, name=each, index=row, train=1, val=1) for row, each in enumerate(ids))
    manifest = DatasetManifest(
        name="imagenette",
        argument="",
        variant="",
        classes=classes,
        content_hash="f" * 64,
        image_px=0,
        source="",
    )
    check = Check(name="classes", one="", many="")
    known = {manifest.content_hash: Known(manifest=manifest, source=OF_STORE)}
    check_classes(Contents(root=tmp_path, artifacts={}), known, check)
    assert len(check.findings) == findings
