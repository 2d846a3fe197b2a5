"""Captions in every form and place that conventions know: read by one reader, or refused by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uvlp import cli

TRAIN = ("cat/0.png", "cat/1.png", "dog/0.png", "dog/2.png")
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for number, name in enumerate([*(f"train/{name}" for name in TRAIN), "val/cat/9.png", "val/dog/9.png"]):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 30 * number, np.uint8)).save(path)
    return root


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """The command line in this process: exit code, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *words, "--store", str(tmp_path / "store")])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


def imported(call: Call, data: Path, *words: str) -> dict[str, str]:
    """Import, and what the store then holds."""
    code, out, err = call("captions", "import", *words, "--dataset", f"folder:{data}", "--json")
    assert code == 0, err
    lines = Path(json.loads(out)["file"]).read_text(encoding="utf-8").splitlines()
    return {row["file_name"]: row["text"] for row in map(json.loads, lines)}


def refused(call: Call, data: Path, *words: str) -> str:
    """The one line that an import ends with."""
    code, out, err = call("captions", "import", *words, "--dataset", f"folder:{data}")
    (line,) = [line for line in err.splitlines() if line.startswith("uvlp:")]
    assert (code, out) == (2, "") and len(line) < 1500, line
    return line


def own(call: Call, data: Path, *words: str) -> tuple[int, str]:
    """The dry run of methods that read captions: exit code, and what it says of captions."""
    command = ("reproduce", f"folder:{data}", "1", "--profile", "nano", "--method", "uvlp", "--dry-run")
    code, out, err = call(*command, *words)
    return code, err


def checked(call: Call, data: Path, *words: str) -> dict[str, Any]:
    code, out, err = call("captions", "check", *words, "--dataset", f"folder:{data}", "--json")
    assert code in (0, 2) and out, err
    found: dict[str, Any] = json.loads(out)
    assert code == (2 if found["images_without_caption"] else 0)
    return found


SAID = {name: f"a photo, {name}" for name in TRAIN}


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def conversation(name: str, text: str, field: str = "image") -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": text}]
    return {"id": name.removesuffix(".png"), field: name, "conversations": turns}


COCO = {
    "info": {"description": "mine"},
    "images": [{"id": number, "file_name": name} for number, name in enumerate(TRAIN)],
    "annotations": [
        {"id": 7 + number, "image_id": number, "caption": SAID[name]} for number, name in enumerate(TRAIN)
    ],
}
KARPATHY = {
    "dataset": "mine",
    "images": [{"filename": name, "split": "train", "captions": [text, "x"]} for name, text in SAID.items()],
}
FORMS: dict[str, str | bytes] = {
    "a.csv": "file_name,text\n" + "".join(f'{name},"{text}"\n' for name, text in SAID.items()),
    "bom.csv": b"\xef\xbb\xbf"
    + "".join(f'"{name}","{text}"\r\n' for name, text in {"file_name": "text", **SAID}.items()).encode(),
    "a.tsv": "image\tcaption\n" + "".join(f"{name}\t{text}\n" for name, text in SAID.items()),
    "semicolons.csv": "file;caption\n" + "".join(f"{name};{text}\n" for name, text in SAID.items()),
    "captions.txt": "image,caption\n" + "".join(f'{name},"{text}"\n' for name, text in SAID.items()),
    "flickr.csv": "image_name| comment_number| comment\n"
    + "".join(f"{name}| 0| {text}\n" for name, text in SAID.items()),
    "capitals.csv": "Image,Caption\n" + "".join(f'{name},"{text}"\n' for name, text in SAID.items()),
    "windows.csv": "file_name,text\n"
    + "".join(f'{name},"{text}"\n'.replace("/", "\\", 1) for name, text in SAID.items()),
    "llava.json": json.dumps([conversation(*pair) for pair in SAID.items()], indent=1),
    "one_line.json": json.dumps([conversation(*pair) for pair in SAID.items()]),
    "named.jsonl": lines([conversation(*pair, field="file_name") for pair in SAID.items()]),
    "field.jsonl": lines([{"image": name, "caption": text} for name, text in SAID.items()]),
    "feature.jsonl": lines([{"file_name": name, "additional_feature": text} for name, text in SAID.items()]),
    "path.jsonl": lines([{"path": name, "prompt": text} for name, text in SAID.items()]),
    "label.jsonl": lines([{"img": name, "label": 3, "title": text} for name, text in SAID.items()]),
    "object.json": json.dumps(SAID),
    "pretty.json": json.dumps(SAID, indent=2),
    "kohya.json": json.dumps({name: {"caption": text} for name, text in SAID.items()}, indent=2),
    "coco.json": json.dumps(COCO),
    "karpathy.json": json.dumps(KARPATHY, indent=1),
    "stems.json": json.dumps({name[:-4]: text for name, text in SAID.items()}),
    "inner.json": json.dumps({"captions": SAID}),
    "ids.json": json.dumps([conversation(*pair, field="x") for pair in SAID.items()]),
    "raw.json": json.dumps(
        {"images": [{"filename": name, "sentences": [{"raw": text}]} for name, text in SAID.items()]}
    ),
    "lines.csv": lines([{"file_name": name, "text": text} for name, text in SAID.items()]),
    "data.json": json.dumps({"data": [{"image": name, "text": text} for name, text in SAID.items()]}),
}


@pytest.mark.parametrize("name", sorted(FORMS))
def test_every_form_is_imported(name: str, call: Call, data: Path, tmp_path: Path) -> None:
    content = FORMS[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert imported(call, data, str(tmp_path / name)) == SAID


@pytest.mark.parametrize("name", ["a.csv", "llava.json", "coco.json", "kohya.json"])
def test_every_form_is_checked(name: str, call: Call, data: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(str(FORMS[name]).encode())
    found = checked(call, data, str(tmp_path / name))
    assert found["total"] == {"images": 4, "missing": 0, "empty": 0, "overruled": 0, "long": 0}


def test_a_field_can_be_named(call: Call, data: Path, tmp_path: Path) -> None:
    rows = [{"image": name, "caption": "x", "prompt": "y", "blip": text} for name, text in SAID.items()]
    file = tmp_path / "m.jsonl"
    file.write_text(lines(rows))
    line = refused(call, data, str(file))
    assert "several fields may be the caption: got 'caption, prompt'" in line and "--caption-field" in line
    assert imported(call, data, str(file), "--caption-field", "blip") == SAID
    assert checked(call, data, str(file), "--caption-field", "blip")["images_without_caption"] == []
    assert "no field 'blop'" in refused(call, data, str(file), "--caption-field", "blop")


HUGE = {f"key {number}": {"x": number} for number in range(800)}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.parquet", b"PAR1\x15\x04", "a Parquet file"),
        ("m.xlsx", b"PK\x03\x04", "spreadsheet"),
        ("m.csv", "file_name,text\ncat/0.png,a,b\n", "line 2: another number of cells than columns: got '3"),
        ("m.csv", 'file_name,text\ncat/0.png,"a\n', "not CSV"),
        ("m.csv", "cat/0.png,a\n", "no column names an image: got 'cat/0.png,a'"),
        ("m.csv", "file_name,text,text\na,b,c\n", "a column is named twice: got 'text'"),
        (
            "m.csv",
            "file_name,label\ncat/0.png,3\n",
            "line 2: no field with a caption: got 'file_name, label'",
        ),
        ("m.csv", "file_name,text\ncat/0.png,na\xefve\n".encode("latin-1"), "line 2: not UTF-8"),
        ("m.csv", "file_name,text\n".encode("utf-16"), "UTF-16"),
        ("m.json", json.dumps(HUGE), "no field with a caption"),
        ("m.json", json.dumps(list(HUGE)), "entry 1: not a JSON object"),
        ("m.json", json.dumps([HUGE]), "not a known kind of caption"),
        ("m.json", '[{"image": "a.png",\n "caption": }]', "line 2: not JSON"),
        ("m.json", json.dumps([list(HUGE)]), "entry 1: not a JSON object"),
        ("m.jsonl", lines([HUGE, HUGE]), "line 1: not a known kind of caption"),
        ("m.jsonl", lines([{"image": "cat/0.png", "text": HUGE}] * 2), "'text' is not a text"),
        ("m.json", '{"cat/0.png": "a", "cat/0.png": "b"}', "a name stands twice: got 'cat/0.png'"),
        (
            "m.json",
            json.dumps(COCO | {"annotations": [{"image_id": 0, "bbox": []}]}),
            "no field with a caption",
        ),
        ("m.txt", "a photo of a cat\n", "line 1: not JSON"),
        ("m.jsonl", lines([{"image": "a.png", "file_name": "b.png", "text": "x"}]), "name different images"),
        ("m.jsonl", lines([{"image": "a.png", "caption": "b", "text": "x"}]), "several fields may be the"),
        ("m.jsonl", lines([{"image": "a.png", "caption": None}]), "'caption' is not a text: got 'null'"),
        ("m.json", '{"a": [{"x": 1}], "b": [{"y": 2}]}', "not a known kind of caption file: got 'a, b'"),
    ],
)
def test_what_is_no_caption_is_refused_in_a_short_line(
    name: str, content: str | bytes, words: str, call: Call, data: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert words in refused(call, data, str(tmp_path / name))


# An id that means two things


def questions(path: Path, *pairs: tuple[object, str]) -> Path:
    rows = [{"question_id": number, "image": image, "text": f"What is {number}?"} for number, image in pairs]
    path.write_text(lines(rows))
    return path


def answers(path: Path, *pairs: tuple[object, str], **more: Any) -> Path:
    path.write_text(lines([{"question_id": n, "text": text, "answer_id": "x", **more} for n, text in pairs]))
    return path


@pytest.mark.parametrize("numbers", [(0, 1, 0, 1), (0, 1, "0", "1")])
def test_numbers_that_begin_anew_stop_the_import(
    numbers: tuple[object, ...], call: Call, data: Path, tmp_path: Path
) -> None:
    """One number, or one as a text, for an image of either class."""
    asked = questions(tmp_path / "q", *zip(numbers, TRAIN, strict=True))
    given = answers(tmp_path / "a", (0, "the first cat"), (1, "the second"))
    line = refused(call, data, str(given), "--questions", str(asked))
    assert "the question id 0 stands for two images (cat/0.png, dog/0.png)" in line
    assert "number them anew" in line and not (tmp_path / "store" / "imported").exists()


def test_each_file_of_answers_with_its_own_questions(call: Call, data: Path, tmp_path: Path) -> None:
    """What the refusal asks for works: the second import keeps what the first one brought."""
    for number, images in enumerate((TRAIN[:2], TRAIN[2:])):
        asked = questions(tmp_path / f"q{number}", *enumerate(images))
        given = answers(tmp_path / f"a{number}", *((at, f"of {name}") for at, name in enumerate(images)))
        found = imported(call, data, str(given), "--questions", str(asked))
    assert found == {name: f"of {name}" for name in TRAIN}


def test_a_later_import_counts_and_says_so(call: Call, data: Path, tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in "12")
    first.write_text(lines([{"file_name": name, "text": "old"} for name in TRAIN[:3]]))
    second.write_text(lines([{"file_name": name, "text": "new"} for name in TRAIN[2:]]))
    imported(call, data, str(first))
    code, out, _ = call("captions", "import", str(second), "--dataset", f"folder:{data}")
    assert code == 0 and "captions of an earlier import: 2 kept, 1 replaced; to begin anew delete" in out
    assert checked(call, data)["images_without_caption"] == []


def test_harmless_repeats_of_a_number(call: Call, data: Path, tmp_path: Path) -> None:
    """The id is the image, or both rows name one image in two ways."""
    pairs = [(name, name) for name in TRAIN] * 2 + [("cat/0.png", "./cat/0.png")]
    asked = questions(tmp_path / "q", *pairs)
    given = answers(tmp_path / "a", *((name, f"of {name}") for name in TRAIN))
    assert imported(call, data, str(given), "--questions", str(asked)).keys() == set(TRAIN)


def test_an_answer_to_another_question_stops_the_import(call: Call, data: Path, tmp_path: Path) -> None:
    asked = questions(tmp_path / "q", *enumerate(TRAIN))
    given = answers(tmp_path / "a", (0, "x"), prompt="What is 1?")
    assert "the answer to another question than number 0" in refused(
        call, data, str(given), "--questions", str(asked)
    )
    answers(given, (0, "x"), prompt="<image>\nWhat is 0?")
    assert imported(call, data, str(given), "--questions", str(asked)) == {TRAIN[0]: "x"}
    answers(given, (0, "x"), image=TRAIN[1])
    assert "the question id 0 stands for two images" in refused(
        call, data, str(given), "--questions", str(asked)
    )


def test_a_number_that_is_answered_twice(call: Call, data: Path, tmp_path: Path) -> None:
    """As where two files of answers were joined; the same answer twice does no harm."""
    asked = questions(tmp_path / "q", *enumerate(TRAIN))
    given = answers(tmp_path / "a", (0, "x"), (0, "x"))
    assert imported(call, data, str(given), "--questions", str(asked)) == {TRAIN[0]: "x"}
    answers(given, (0, "x"), (0, "y"))
    line = refused(call, data, str(given), "--questions", str(asked))
    assert "line 2: the question id 0 is answered twice" in line and "got 'x / y'" in line


def test_image_ids_of_coco_are_held_to_the_same(call: Call, data: Path, tmp_path: Path) -> None:
    images = [{"id": number % 2, "file_name": name} for number, name in enumerate(TRAIN)]
    (tmp_path / "m.json").write_text(json.dumps(COCO | {"images": images}))
    line = refused(call, data, str(tmp_path / "m.json"))
    assert "the image id 0 stands for two images (cat/0.png, dog/0.png)" in line


def test_two_files_must_agree(call: Call, data: Path, tmp_path: Path) -> None:
    one, two = (tmp_path / f"{name}.jsonl" for name in ("one", "two"))
    one.write_text(lines([{"file_name": name, "text": "same"} for name in TRAIN]))
    two.write_text(lines([{"file_name": TRAIN[1], "text": "same "}, {"file_name": TRAIN[2], "text": "no"}]))
    line = refused(call, data, str(one), str(two))
    assert f"two files give 1 images different captions: got '{TRAIN[2]}: {one} and {two}'" in line


# Captions that lie in the dataset's folder

PLACES: dict[str, dict[str, str]] = {
    "csv at the top": {
        "metadata.csv": "file_name,text\n"
        + "".join(f'train/{name},"{text}"\n' for name, text in SAID.items())
    },
    "csv in train": {"train/metadata.csv": str(FORMS["a.csv"])},
    "lines per class": {
        f"train/{name}/metadata.jsonl": lines(
            [{"file_name": key[4:], "text": text} for key, text in SAID.items() if key.startswith(name)]
        )
        for name in ("cat", "dog")
    },
    "csv and lines": {
        "train/cat/metadata.csv": "file_name,caption\n"
        + "".join(f'{name[4:]},"{SAID[name]}"\n' for name in TRAIN[:2]),
        "train/metadata.jsonl": lines([{"file_name": name, "text": SAID[name]} for name in TRAIN[2:]]),
    },
    "texts beside images": {f"train/{name[:-4]}.txt": f"{text}\n" for name, text in SAID.items()},
    "in capitals": {"train/Metadata.CSV": str(FORMS["a.csv"])},
    "capitals beside images": {f"train/{name[:-4]}.TXT": text for name, text in SAID.items()},
    "captions beside images": {f"train/{name}.caption": text for name, text in SAID.items()},
    "json beside images": {
        f"train/{name[:-4]}.json": json.dumps({"caption": text, "w": 8}) for name, text in SAID.items()
    },
    "object at the top": {
        "captions.json": json.dumps({f"train/{name}": text for name, text in SAID.items()})
    },
    "a list in train": {"train/captions.json": str(FORMS["llava.json"])},
}


def put(data: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (data / name).write_text(content, encoding="utf-8")


@pytest.mark.parametrize("place", sorted(PLACES))
def test_captions_in_every_place_are_used(place: str, call: Call, data: Path) -> None:
    put(data, PLACES[place])
    found = checked(call, data)
    assert found["images_without_caption"] == [] and found["total"]["overruled"] == 0
    from uvlp.artifacts.dataset_manifest import DatasetSpec
    from uvlp.datasets.folder import open_dataset

    spec = DatasetSpec(name="folder", argument=str(data))
    first = open_dataset(spec, data.parent / "cache")
    assert first.captions() == SAID
    name = next(iter(PLACES[place]))
    (data / name).write_text((data / name).read_text().replace("a photo", "a print"))
    second = open_dataset(spec, data.parent / "cache")
    assert second.manifest.content_hash != first.manifest.content_hash
    code, err = own(call, data)
    assert code == 0 and "not used" not in err


@pytest.mark.parametrize("folder", ["", "train", "train/cat"])
def test_a_parquet_file_is_refused_by_name(folder: str, call: Call, data: Path) -> None:
    (data / folder / "metadata.parquet").write_bytes(b"PAR1")
    code, err = own(call, data)
    assert code == 2
    assert f"got '{data / folder / 'metadata.parquet'}'" in err and "pandas.read_parquet" in err


def test_two_sources_that_differ_stop_the_run(call: Call, data: Path, tmp_path: Path) -> None:
    put(data, {"train/cat/0.txt": "one", "train/cat/0.caption": "two"})
    code, err = own(call, data)
    assert code == 2
    assert "got 'train/cat/0.png: train/cat/0.txt and train/cat/0.caption'" in err
    (tmp_path / "m.jsonl").write_text(lines([{"file_name": "cat/0.png", "text": "one"}]))
    imported(call, data, str(tmp_path / "m.jsonl"))
    code, err = own(call, data)
    assert code == 0 and "its captions in files are not used, but imported ones" in err


def test_captions_are_not_replaced_silently(call: Call, data: Path) -> None:
    put(data, PLACES["lines per class"])
    code, err = own(call, data, "--set", "caption.captioner=colours")
    assert code == 0 and "its captions in files are not used, but colours" in err


def test_files_of_other_programs_beside_images_are_counted(call: Call, data: Path) -> None:
    boxes = {f"train/{name[:-4]}.txt": "0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.2\n" for name in TRAIN}
    put(data, boxes | {"train/cat/0.json": json.dumps({"shapes": []}), "train/cat/README.txt": "mine"})
    code, err = own(call, data)
    assert code == 0
    assert "5 files beside images hold no caption and are not used" in err
    assert "1 files without an image extension are not used" in err


def test_captions_under_another_name_are_told(call: Call, data: Path) -> None:
    labels = "path,label\ntrain/cat/0.png,3\n"
    (data / "annotations").mkdir()
    put(data, {"mine.csv": str(FORMS["a.csv"]), "labels.csv": labels, "README.txt": "about\n"})
    put(data, {"annotations/coco.json": json.dumps(COCO)})
    code, err = own(call, data)
    assert code == 0
    assert (
        "mine.csv, annotations/coco.json: may hold captions and is not read; `uvlp captions import FILE`"
        in err
    )


def test_further_lines_beside_an_image_are_counted(call: Call, data: Path) -> None:
    put(data, {f"train/{name[:-4]}.txt": "one\ntwo\n" for name in TRAIN})
    code, err = own(call, data)
    assert code == 0 and "4 further captions are not used, the first of each image counts" in err
