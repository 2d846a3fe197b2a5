"""Opening a dataset leaves the record that a store is checked against."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from uvlp.artifacts.dataset import ClassInfo, DatasetManifest, DatasetSpec, recall
from uvlp.core.progress import Progress
from uvlp.datasets.files.images.arrays import Arrays
from uvlp.pipeline import datasets

MANIFEST = DatasetManifest(
    name="digits",
    argument="",
    variant="",
    classes=(ClassInfo(id="0", name="zero", index=0, train=2, val=1),),
    content_hash="a" * 64,
    image_px=8,
    source="drawn",
)


def test_a_dataset_whose_plug_in_records_nothing_is_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened = Arrays(MANIFEST, lambda split: pytest.fail("no image is asked for"))
    declared = SimpleNamespace(
        argument=None, open_dataset=lambda *_: opened, origin=SimpleNamespace(file="mine.py")
    )
    monkeypatch.setattr(datasets, "declared_dataset", lambda name: declared)
    datasets.open_dataset(DatasetSpec(name="digits"), tmp_path / "datasets", Progress())
    (path,) = (tmp_path / "datasets").iterdir()
    assert path.name == f"digits-{'a' * 16}.json"
    assert recall(path, MANIFEST.content_hash) == MANIFEST
