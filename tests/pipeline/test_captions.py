"""Existing captions: import and coverage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.captioners.texts import imported
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.pipeline import captions
from uvlp.pipeline.captions import Imported, Tally
from uvlp.pipeline.datasets import open_dataset

W, V = "n02086240", "n02087394"
IMAGES = (f"{W}/ILSVRC2012_val_00000293.JPEG", f"{W}/{W}_17.JPEG", f"{V}/{V}_3.JPEG")


@pytest.fixture()
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for name in [*(f"train/{name}" for name in IMAGES), f"val/{W}/1.JPEG", f"val/{V}/1.JPEG"]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), len(name), np.uint8)).save(path)
    (root / "classes.tsv").write_text(f"{W}\tShih-Tzu\n{V}\tRhodesian ridgeback\n")
    return root


@pytest.fixture()
def spec(data: Path) -> DatasetSpec:
    return DatasetSpec(name="folder", argument=str(data))


@pytest.fixture()
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(name: str, text: str = "a dog") -> dict[str, str]:
    return {"file_name": name, "text": text}


def import_files(spec: DatasetSpec, store: Store, *files: Path, **options: Any) -> Imported:
    return captions.import_files(files, spec, store, **options)


WOOF = [
    row(f"{W}_17_{W}.JPEG", "old"),
    row(f"ILSVRC2012_val_00000293_{W}.JPEG"),
    row("x.JPEG"),
    row(f"{W}_17_{W}.JPEG"),
]


def test_import_matches_images_and_counts_rows(data: Path, spec: DatasetSpec, store: Store) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    made = import_files(spec, store, write(data.parent / "woof.jsonl", *WOOF))
    assert made.counts == {
        "rows": 4, "images": 3, "captions": 2, "overruled": 1, "without_image": 1, "without_caption": 1,
        "further": 0, "kept": 0, "replaced": 0,
    }  # fmt: skip
    assert (list(made.without_image), list(made.without_caption)) == (["x.JPEG"], [IMAGES[2]])
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before, (
        "the folder of the images is unchanged"
    )
    manifest = open_dataset(spec, store.cache, Progress()).manifest
    found = imported.find(store.root, spec, manifest)
    assert found is not None and found == made.path and found.parent == store.root / "imported"
    assert [json.loads(line) for line in found.read_text().splitlines()] == [row(IMAGES[0]), row(IMAGES[1])]


def test_import_with_published_names(data: Path, spec: DatasetSpec, store: Store) -> None:
    made = import_files(spec, store, write(data.parent / "woof.jsonl", *WOOF), published=True)
    assert made.counts == {
        "rows": 4, "images": 3, "captions": 1, "overruled": 1, "without_image": 2, "without_caption": 2,
        "further": 0, "kept": 0, "replaced": 0,
    }  # fmt: skip


def test_answers_are_imported_with_their_questions(data: Path, spec: DatasetSpec, store: Store) -> None:
    questions = write(
        data.parent / "q",
        *({"question_id": number, "image": name, "text": "?"} for number, name in enumerate(IMAGES)),
    )
    parts = [
        write(
            data.parent / f"a{number}", {"question_id": number, "text": f' the "{number}" ', "answer_id": "x"}
        )
        for number in range(3)
    ]
    import_files(spec, store, *parts, questions=questions)
    manifest = open_dataset(spec, store.cache, Progress()).manifest
    found = imported.find(store.root, spec, manifest)
    assert found is not None
    assert [json.loads(line)["text"] for line in found.read_text().splitlines()] == [
        "the 0",
        "the 1",
        "the 2",
    ]


def test_captions_of_two_folders_are_separate(data: Path, spec: DatasetSpec, store: Store) -> None:
    import_files(spec, store, write(data.parent / "m", row(IMAGES[0])))
    manifest = open_dataset(spec, store.cache, Progress()).manifest
    elsewhere = DatasetSpec(name="folder", argument=str(data / "elsewhere"))
    assert imported.find(store.root, spec, manifest) is not None
    assert imported.find(store.root, elsewhere, manifest) is None
    assert imported.file_path(store.root, DatasetSpec(name="woof"), manifest).name == "woof.jsonl"


def test_captions_of_another_dataset_are_refused(data: Path, spec: DatasetSpec, store: Store) -> None:
    for rows, got in (([row("x.JPEG")], "x.JPEG"), ([], "no rows with a text")):
        with pytest.raises(UvlpError) as refused:
            import_files(spec, store, write(data.parent / "m", *rows))
        assert refused.value.got == got and IMAGES[0] in str(refused.value.allowed)
    assert not (store.root / "imported").exists()


def test_unwritable_store_is_reported(data: Path, spec: DatasetSpec, tmp_path: Path) -> None:
    Store(tmp_path / "store").prepare()
    (tmp_path / "store" / "imported").write_text("a file where a folder should be")
    with pytest.raises(UvlpError) as caught:
        import_files(spec, Store(tmp_path / "store"), write(data.parent / "m", row(IMAGES[0])))
    assert caught.value.what.startswith("cannot write the store")


def test_check_counts_by_class(data: Path, spec: DatasetSpec, store: Store) -> None:
    """77 tokens are 75 words, start and end: one word more is too long."""
    rows = [row(IMAGES[1], "dog " * 75), row(IMAGES[1], " "), row(IMAGES[2], "dog " * 76), row("x.JPEG")]
    file = write(data.parent / "m", *rows)
    coverage = captions.check(file, spec, store)
    woof = Tally(images=2, missing=1, empty=1, overruled=1, long=0)
    ridgeback = Tally(images=1, missing=0, empty=0, overruled=0, long=1)
    assert coverage.classes == {W: ("Shih-Tzu", woof), V: ("Rhodesian ridgeback", ridgeback)}
    assert coverage.total == Tally(images=3, missing=1, empty=1, overruled=1, long=1)
    assert list(coverage.without_image) == ["x.JPEG"]
    assert list(coverage.without_caption) == list(IMAGES[:2])


def test_check_prefers_imported_captions_to_the_datasets_own(
    data: Path, spec: DatasetSpec, store: Store
) -> None:
    with pytest.raises(UvlpError) as none:
        captions.check(None, spec, store)
    assert none.value.got == "no metadata.jsonl, no text files beside the images, no imported captions"
    write(data / "train" / "metadata.jsonl", *(row(name) for name in IMAGES))
    coverage = captions.check(None, spec, store)
    assert coverage.source == "the dataset's own" and not coverage.without_caption
    import_files(spec, store, write(data.parent / "m", *(row(name) for name in IMAGES[1:])))
    coverage = captions.check(None, spec, store)
    assert "imported" in coverage.source and list(coverage.without_caption) == [IMAGES[0]]
