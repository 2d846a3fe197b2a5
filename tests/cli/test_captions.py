"""`uvlp captions`: what is taken over, what is said about it, and that the next run uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.captioners.texts import imported as imported_captions
from uvlp.cli import captions
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
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


def take_over(spec: DatasetSpec, store: Store, *files: Path, **how: Any) -> None:
    options: dict[str, Any] = {"questions": None, "published": False, "as_json": False} | how
    captions.import_files(files, spec, store, **options)


WOOF = [
    row(f"{W}_17_{W}.JPEG", "old"),
    row(f"ILSVRC2012_val_00000293_{W}.JPEG"),
    row("x.JPEG"),
    row(f"{W}_17_{W}.JPEG"),
]


def test_woof_is_taken_over(
    data: Path, spec: DatasetSpec, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    take_over(spec, store, written(data.parent / "woof.jsonl", *WOOF))
    said = capsys.readouterr().out
    assert "2 of 3 training images of folder:" in said
    assert "rows read: 4, overruled by another row for the same image: 1" in said
    assert "rows without an image of their own: 1, x.JPEG" in said
    assert f"--missing-captions empty): 1, {IMAGES[2]}" in said
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before, (
        "the images' folder is left alone"
    )
    manifest = open_dataset(spec, store.cache, Progress()).manifest
    found = imported_captions.find(store.root, spec, manifest)
    assert found is not None and str(found) in said and found.parent == store.root / "imported"
    assert [json.loads(line) for line in found.read_text().splitlines()] == [row(IMAGES[0]), row(IMAGES[1])]


def test_the_published_look_up_as_an_option(
    data: Path, spec: DatasetSpec, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    take_over(spec, store, written(data.parent / "woof.jsonl", *WOOF), published=True, as_json=True)
    counts = json.loads(capsys.readouterr().out)
    assert counts.pop("file").endswith(".jsonl")
    assert counts == {
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
    found = imported_captions.find(store.root, spec, manifest)
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
    assert imported_captions.find(store.root, spec, manifest) is not None
    assert imported_captions.find(store.root, elsewhere, manifest) is None
    assert imported_captions.place(store.root, DatasetSpec(name="woof"), manifest).name == "woof.jsonl"


def test_a_file_for_another_dataset_is_refused(data: Path, spec: DatasetSpec, store: Store) -> None:
    with pytest.raises(
        UvlpError, match=r"no caption .* is for a training image.*got 'x.JPEG'.*names such as"
    ):
        take_over(spec, store, written(data.parent / "m", row("x.JPEG")))
    with pytest.raises(UvlpError, match="got 'no rows with a text'"):
        take_over(spec, store, written(data.parent / "m"))
    assert not (store.root / "imported").exists()


def test_a_store_that_cannot_be_written(data: Path, spec: DatasetSpec, tmp_path: Path) -> None:
    Store(tmp_path / "store").prepare()
    (tmp_path / "store" / "imported").write_text("a file where a folder should be")
    with pytest.raises(UvlpError, match="cannot write the store"):
        take_over(spec, Store(tmp_path / "store"), written(data.parent / "m", row(IMAGES[0])))


def checked(
    spec: DatasetSpec, store: Store, capsys: pytest.CaptureFixture[str], file: Path | None = None
) -> Any:
    code = captions.check(file, spec, store, as_json=True)
    return code, json.loads(capsys.readouterr().out)


def test_what_the_check_counts(
    data: Path, spec: DatasetSpec, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """77 tokens are 75 words and two marks: one word more is too long."""
    rows = [row(IMAGES[1], "dog " * 75), row(IMAGES[1], " "), row(IMAGES[2], "dog " * 76), row("x.JPEG")]
    file = written(data.parent / "m", *rows)
    code, found = checked(spec, store, capsys, file)
    assert code == 2
    woof = {"images": 2, "missing": 1, "empty": 1, "overruled": 1, "long": 0}
    ridgeback = {"images": 1, "missing": 0, "empty": 0, "overruled": 0, "long": 1}
    assert found["classes"] == {W: woof, V: ridgeback}
    assert found["total"] == {"images": 3, "missing": 1, "empty": 1, "overruled": 1, "long": 1}
    assert found["rows_without_image"] == 1
    assert found["images_without_caption"] == list(IMAGES[:2])
    assert captions.check(file, spec, store, as_json=False) == 2
    said = capsys.readouterr().out
    assert f"{W} Shih-Tzu" in said and "over 77 tokens" in said
    assert f"images without a caption: 2, {IMAGES[0]}, {IMAGES[1]}" in said
    total = next(line for line in said.splitlines() if line.startswith("total"))
    assert total.split() == ["total", "3", "1", "1", "1", "1"]


def test_complete_captions_are_well(
    data: Path, spec: DatasetSpec, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """First the dataset's own, then those that were imported."""
    with pytest.raises(
        UvlpError,
        match="has no captions: got 'no metadata.jsonl, no texts beside the images, nothing imported'",
    ):
        captions.check(None, spec, store, as_json=True)
    written(data / "train" / "metadata.jsonl", *(row(name) for name in IMAGES))
    code, found = checked(spec, store, capsys)
    assert code == 0 and found["source"] == "the dataset's own"
    take_over(spec, store, written(data.parent / "m", *(row(name) for name in IMAGES[1:])))
    capsys.readouterr()
    code, found = checked(spec, store, capsys)
    assert code == 2 and "imported" in found["source"] and found["images_without_caption"] == [IMAGES[0]]
