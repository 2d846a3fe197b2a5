"""A published set is scored only on its own dataset, and with its own order of classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from uvlp.artifacts.dataset import ClassInfo, DatasetManifest
from uvlp.core.errors import UvlpError
from uvlp.pipeline.folders.published import PublishedSet

FACTS = {"ipc": 1, "select": "first"}


def dataset(*ids: str, name: str = "bugs", content_hash: str = "aa") -> DatasetManifest:
    infos = tuple(ClassInfo(id=each, name=each, index=row, train=1, val=1) for row, each in enumerate(ids))
    return DatasetManifest(
        name=name,
        argument="",
        variant="",
        classes=infos,
        content_hash=content_hash,
        image_px=8,
        source="",
    )


def published(folder: Path, stated: str = "bugs", **labels: int) -> PublishedSet:
    for name in labels:
        (folder / "train" / name).mkdir(parents=True)
        (folder / "train" / name / "0.png").write_bytes(b"")
    return PublishedSet(
        repository="them/set",
        commit="c" * 40,
        folder=folder,
        labels=labels,
        dataset=stated,
        content_hash="aa",
    )


def refused(found: PublishedSet, on: DatasetManifest) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        list(found.check(on, FACTS))
    assert found.address in caught.value.what
    return caught.value


def test_the_same_order_is_accepted(tmp_path: Path) -> None:
    assert list(published(tmp_path, ant=0, bee=1).check(dataset("ant", "bee"), FACTS)) == []


def test_another_version_of_the_dataset_is_a_note(tmp_path: Path) -> None:
    found = published(tmp_path, ant=0, bee=1)
    (note,) = found.check(dataset("ant", "bee", content_hash="bb"), FACTS)
    assert "content hash" in note


def test_another_order_is_refused(tmp_path: Path) -> None:
    error = refused(published(tmp_path, ant=0, bee=1), dataset("bee", "ant"))
    assert error.got == "label 1 of the folder bee" and error.allowed == "label 0"


def test_a_folder_without_a_label_is_refused(tmp_path: Path) -> None:
    found = published(tmp_path, ant=0, bee=1)
    found.labels.pop("bee")  # type: ignore[attr-defined]
    assert refused(found, dataset("ant", "bee")).got == "label missing of the folder bee"


def test_another_dataset_is_refused(tmp_path: Path) -> None:
    error = refused(published(tmp_path, ant=0, bee=1), dataset("ant", "bee", name="insects"))
    assert (error.got, error.allowed) == ("insects", "bugs")
    assert list(published(tmp_path / "other", "", ant=0).check(dataset("ant"), FACTS)) == [], "none is stated"
