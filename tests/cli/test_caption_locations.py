"""Captions in every supported location of a dataset folder, and messages about other files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.caption_forms import COCO, FORMS, TEXTS, TRAIN, Call, checked, imported, lines, own

LOCATIONS: dict[str, dict[str, str]] = {
    "csv at the top": {
        "metadata.csv": "file_name,text\n"
        + "".join(f'train/{name},"{text}"\n' for name, text in TEXTS.items())
    },
    "csv in train": {"train/metadata.csv": str(FORMS["a.csv"])},
    "lines per class": {
        f"train/{name}/metadata.jsonl": lines(
            [{"file_name": key[4:], "text": text} for key, text in TEXTS.items() if key.startswith(name)]
        )
        for name in ("cat", "dog")
    },
    "csv and lines": {
        "train/cat/metadata.csv": "file_name,caption\n"
        + "".join(f'{name[4:]},"{TEXTS[name]}"\n' for name in TRAIN[:2]),
        "train/metadata.jsonl": lines([{"file_name": name, "text": TEXTS[name]} for name in TRAIN[2:]]),
    },
    "texts beside images": {f"train/{name[:-4]}.txt": f"{text}\n" for name, text in TEXTS.items()},
    "in capitals": {"train/Metadata.CSV": str(FORMS["a.csv"])},
    "capitals beside images": {f"train/{name[:-4]}.TXT": text for name, text in TEXTS.items()},
    "captions beside images": {f"train/{name}.caption": text for name, text in TEXTS.items()},
    "json beside images": {
        f"train/{name[:-4]}.json": json.dumps({"caption": text, "w": 8}) for name, text in TEXTS.items()
    },
    "object at the top": {
        "captions.json": json.dumps({f"train/{name}": text for name, text in TEXTS.items()})
    },
    "a list in train": {"train/captions.json": str(FORMS["llava.json"])},
}


def put(data: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (data / name).write_text(content, encoding="utf-8")


@pytest.mark.parametrize("location", sorted(LOCATIONS))
def test_captions_in_every_location_are_used(location: str, call: Call, data: Path) -> None:
    put(data, LOCATIONS[location])
    report = checked(call, data)
    assert report["images_without_caption"] == [] and report["total"]["overruled"] == 0
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.datasets.folder import open_dataset

    spec = DatasetSpec(name="folder", argument=str(data))
    first = open_dataset(spec, data.parent / "cache")
    assert first.captions() == TEXTS
    name = next(iter(LOCATIONS[location]))
    (data / name).write_text((data / name).read_text().replace("a photo", "a print"))
    second = open_dataset(spec, data.parent / "cache")
    assert second.manifest.content_hash != first.manifest.content_hash
    code, err = own(call, data)
    assert code == 0 and "not used" not in err


@pytest.mark.parametrize("folder", ["", "train", "train/cat"])
def test_parquet_file_is_refused(folder: str, call: Call, data: Path) -> None:
    (data / folder / "metadata.parquet").write_bytes(b"PAR1")
    code, err = own(call, data)
    assert code == 2
    assert f"got '{data / folder / 'metadata.parquet'}'" in err and "pandas.read_parquet" in err


def test_contradicting_sources_stop_the_run(call: Call, data: Path, tmp_path: Path) -> None:
    put(data, {"train/cat/0.txt": "one", "train/cat/0.caption": "two"})
    code, err = own(call, data)
    assert code == 2
    assert "got 'train/cat/0.png: train/cat/0.txt and train/cat/0.caption'" in err
    (tmp_path / "m.jsonl").write_text(lines([{"file_name": "cat/0.png", "text": "one"}]))
    imported(call, data, str(tmp_path / "m.jsonl"))
    code, err = own(call, data, "--missing-captions", "empty")
    assert code == 0 and "its captions in files are not used, but imported ones" in err


def test_unused_captions_are_reported(call: Call, data: Path) -> None:
    put(data, LOCATIONS["lines per class"])
    code, err = own(call, data, "--set", "caption.captioner=colours")
    assert code == 0 and "its captions in files are not used, but colours" in err


def test_unused_files_beside_images_are_counted(call: Call, data: Path) -> None:
    boxes = {f"train/{name[:-4]}.txt": "0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.2\n" for name in TRAIN}
    put(data, boxes | {"train/cat/0.json": json.dumps({"shapes": []}), "train/cat/README.txt": "mine"})
    code, err = own(call, data)
    assert code == 0
    assert "5 files beside images contain no caption and are not used" in err
    assert "1 files without an image extension are not used" in err


def test_possible_caption_files_are_reported(call: Call, data: Path) -> None:
    labels = "path,label\ntrain/cat/0.png,3\n"
    (data / "annotations").mkdir()
    put(data, {"mine.csv": str(FORMS["a.csv"]), "labels.csv": labels, "README.txt": "about\n"})
    put(data, {"annotations/coco.json": json.dumps(COCO)})
    code, err = own(call, data)
    assert code == 0
    assert (
        "mine.csv, annotations/coco.json: not read, but may contain captions; `uvlp captions import FILE`"
        in err
    )


def test_additional_caption_lines_are_counted(call: Call, data: Path) -> None:
    put(data, {f"train/{name[:-4]}.txt": "one\ntwo\n" for name in TRAIN})
    code, err = own(call, data)
    assert code == 0 and "4 further captions are not used, only the first of each image" in err
