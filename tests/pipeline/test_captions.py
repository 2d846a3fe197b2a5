"""Captions of others: what is taken over, and what is counted."""

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


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(name: str, text: str = "a dog") -> dict[str, str]:
    return {"file_name": name, "text": text}


def take_over(spec: DatasetSpec, store: Store, *files: Path, **how: Any) -> Imported:
    return captions.import_files(files, spec, store, **how)


WOOF = [
    row(f"{W}_17_{W}.JPEG", "old"),
    row(f"ILSVRC2012_val_00000293_{W}.JPEG"),
    row("x.JPEG"),
    row(f"{W}_17_{W}.JPEG"),
]


def test_woof_is_taken_over(data: Path, spec: DatasetSpec, store: Store) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    made = take_over(spec, store, written(data.parent / "woof.jsonl", *WOOF))
    assert made.counts == {
        "rows": 4, "images": 3, "captions": 2, "overruled": 1, "without_image": 1, "without_caption": 1,
        "further": 0, "kept": 0, "replaced": 0,
    }  # fmt: skip
    assert (list(made.without_image), list(made.without_caption)) == (["x.JPEG"], [IMAGES[2]])
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before, (
        "the images' folder is left alone"
    )
    manifest = open_dataset(spec, store.cache, Progress()).manifest
    found = imported.find(store.root, spec, manifest)
    assert found is not None and found == made.path and found.parent == store.root / "imported"
    assert [json.loads(line) for line in found.read_text().splitlines()] == [row(IMAGES[0]), row(IMAGES[1])]


def test_the_published_look_up_as_an_option(data: Path, spec: DatasetSpec, store: Store) -> None:
    made = take_over(spec, store, written(data.parent / "woof.jsonl", *WOOF), published=True)
    assert made.counts == {
        "rows": 4, "images": 3, "captions": 1, "overruled": 1, "without_image": 2, "without_caption": 2,
        "further": 0, "kept": 0, "replaced": 0,
    }  # fmt: skip


def test_answers_with_their_questions(data: Path, spec: DatasetSpec, store: Store) -> None:
    questions = written(
        data.parent / "q",
        *({"question_id": number, "image": name, "text": "?"} for number, name in enumerate(IMAGES)),
    )
    parts = [
        written(
            data.parent / f"a{number}", {"question_id": number, "text": f' the "{number}" ', "answer_id": "x"}
        )
        for number in range(3)
    ]
    take_over(spec, store, *parts, questions=questions)
    manifest = open_dataset(spec, store.cache, Progress()).manifest
    found = imported.find(store.root, spec, manifest)
    assert found is not None
    assert [json.loads(line)["text"] for line in found.read_text().splitlines()] == [
        "the 0",
        "the 1",
        "the 2",
    ]


def test_two_folders_keep_their_captions_apart(data: Path, spec: DatasetSpec, store: Store) -> None:
    take_over(spec, store, written(data.parent / "m", row(IMAGES[0])))
    manifest = open_dataset(spec, store.cache, Progress()).manifest
    elsewhere = DatasetSpec(name="folder", argument=str(data / "elsewhere"))
    assert imported.find(store.root, spec, manifest) is not None
    assert imported.find(store.root, elsewhere, manifest) is None
    assert imported.place(store.root, DatasetSpec(name="woof"), manifest).name == "woof.jsonl"


def test_a_file_for_another_dataset_is_refused(data: Path, spec: DatasetSpec, store: Store) -> None:
    for rows, got in (([row("x.JPEG")], "x.JPEG"), ([], "no rows with a text")):
        with pytest.raises(UvlpError) as refused:
            take_over(spec, store, written(data.parent / "m", *rows))
        assert refused.value.got == got and IMAGES[0] in str(refused.value.allowed)
    assert not (store.root / "imported").exists()


def test_a_store_that_cannot_be_written(data: Path, spec: DatasetSpec, tmp_path: Path) -> None:
    Store(tmp_path / "store").prepare()
    (tmp_path / "store" / "imported").write_text("a file where a folder should be")
    with pytest.raises(UvlpError, match="cannot write the store"):
        take_over(spec, Store(tmp_path / "store"), written(data.parent / "m", row(IMAGES[0])))


def test_what_the_check_counts(data: Path, spec: DatasetSpec, store: Store) -> None:
    """77 tokens are 75 words and two marks: one word more is too long."""
    rows = [row(IMAGES[1], "dog " * 75), row(IMAGES[1], " "), row(IMAGES[2], "dog " * 76), row("x.JPEG")]
    file = written(data.parent / "m", *rows)
    found = captions.check(file, spec, store)
    woof = Tally(images=2, missing=1, empty=1, overruled=1, long=0)
    ridgeback = Tally(images=1, missing=0, empty=0, overruled=0, long=1)
    assert found.classes == {W: ("Shih-Tzu", woof), V: ("Rhodesian ridgeback", ridgeback)}
    assert found.total == Tally(images=3, missing=1, empty=1, overruled=1, long=1)
    assert list(found.without_image) == ["x.JPEG"]
    assert list(found.without_caption) == list(IMAGES[:2])


def test_the_datasets_own_captions_are_checked_and_then_those_that_were_imported(
    data: Path, spec: DatasetSpec, store: Store
) -> None:
    with pytest.raises(UvlpError) as none:
        captions.check(None, spec, store)
    assert none.value.got == "no metadata.jsonl, no texts beside the images, nothing imported"
    written(data / "train" / "metadata.jsonl", *(row(name) for name in IMAGES))
    found = captions.check(None, spec, store)
    assert found.source == "the dataset's own" and not found.without_caption
    take_over(spec, store, written(data.parent / "m", *(row(name) for name in IMAGES[1:])))
    found = captions.check(None, spec, store)
    assert "imported" in found.source and list(found.without_caption) == [IMAGES[0]]
