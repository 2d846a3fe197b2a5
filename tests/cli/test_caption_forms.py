"""Every supported caption format is read; other files are refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.caption_forms import COCO, FORMS, TEXTS, TRAIN, Call, checked, imported, lines, refused


@pytest.mark.parametrize("name", sorted(FORMS))
def test_every_format_is_imported(name: str, call: Call, data: Path, tmp_path: Path) -> None:
    content = FORMS[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert imported(call, data, str(tmp_path / name)) == TEXTS


@pytest.mark.parametrize("name", ["a.csv", "llava.json", "coco.json", "kohya.json"])
def test_every_format_is_checked(name: str, call: Call, data: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(str(FORMS[name]).encode())
    report = checked(call, data, str(tmp_path / name))
    assert report["total"] == {"images": 4, "missing": 0, "empty": 0, "overruled": 0, "long": 0}


def test_caption_field_can_be_chosen(call: Call, data: Path, tmp_path: Path) -> None:
    rows = [{"image": name, "caption": "x", "prompt": "y", "blip": text} for name, text in TEXTS.items()]
    file = tmp_path / "m.jsonl"
    file.write_text(lines(rows))
    line = refused(call, data, str(file))
    assert "several possible caption fields: got 'caption, prompt'" in line and "--caption-field" in line
    assert imported(call, data, str(file), "--caption-field", "blip") == TEXTS
    assert checked(call, data, str(file), "--caption-field", "blip")["images_without_caption"] == []
    assert "no field 'blop'" in refused(call, data, str(file), "--caption-field", "blop")


HUGE = {f"key {number}": {"x": number} for number in range(800)}


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("m.parquet", b"PAR1\x15\x04", "a Parquet file"),
        ("m.xlsx", b"PK\x03\x04", "spreadsheet"),
        (
            "m.csv",
            "file_name,text\ncat/0.png,a,b\n",
            "line 2: the number of cells is not that of the columns: got '3",
        ),
        ("m.csv", 'file_name,text\ncat/0.png,"a\n', "not CSV"),
        ("m.csv", "cat/0.png,a\n", "no column with image names: got 'cat/0.png,a'"),
        ("m.csv", "file_name,text,text\na,b,c\n", "duplicate column name: got 'text'"),
        (
            "m.csv",
            "file_name,label\ncat/0.png,3\n",
            "line 2: no caption field: got 'file_name, label'",
        ),
        ("m.csv", "file_name,text\ncat/0.png,na\xefve\n".encode("latin-1"), "line 2: not UTF-8"),
        ("m.csv", "file_name,text\n".encode("utf-16"), "UTF-16"),
        ("m.json", json.dumps(HUGE), "no caption field"),
        ("m.json", json.dumps(list(HUGE)), "entry 1: not a JSON object"),
        ("m.json", json.dumps([HUGE]), "unknown"),
        ("m.json", '[{"image": "a.png",\n "caption": }]', "line 2: not JSON"),
        ("m.json", json.dumps([list(HUGE)]), "entry 1: not a JSON object"),
        ("m.jsonl", lines([HUGE, HUGE]), "line 1: unknown caption format"),
        ("m.jsonl", lines([{"image": "cat/0.png", "text": HUGE}] * 2), "'text' is not a text"),
        ("m.json", '{"cat/0.png": "a", "cat/0.png": "b"}', "got 'cat/0.png'"),
        (
            "m.json",
            json.dumps(COCO | {"annotations": [{"image_id": 0, "bbox": []}]}),
            "no caption field",
        ),
        ("m.txt", "a photo of a cat\n", "line 1: not JSON"),
        ("m.jsonl", lines([{"image": "a.png", "file_name": "b.png", "text": "x"}]), "name different images"),
        (
            "m.jsonl",
            lines([{"image": "a.png", "caption": "b", "text": "x"}]),
            "several possible caption fields",
        ),
        ("m.jsonl", lines([{"image": "a.png", "caption": None}]), "'caption' is not a text: got 'null'"),
        ("m.json", '{"a": [{"x": 1}], "b": [{"y": 2}]}', "unknown format of a caption file: got 'a, b'"),
    ],
)
def test_invalid_caption_file_is_refused_in_a_short_line(
    name: str, content: str | bytes, text: str, call: Call, data: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert text in refused(call, data, str(tmp_path / name))


# Ids with two meanings


def questions(path: Path, *pairs: tuple[object, str]) -> Path:
    rows = [{"question_id": number, "image": image, "text": f"What is {number}?"} for number, image in pairs]
    path.write_text(lines(rows))
    return path


def answers(path: Path, *pairs: tuple[object, str], **more: Any) -> Path:
    path.write_text(lines([{"question_id": n, "text": text, "answer_id": "x", **more} for n, text in pairs]))
    return path


@pytest.mark.parametrize("numbers", [(0, 1, 0, 1), (0, 1, "0", "1")])
def test_duplicate_question_ids_stop_the_import(
    numbers: tuple[object, ...], call: Call, data: Path, tmp_path: Path
) -> None:
    """The same id, as a number or a string, for images of two classes."""
    asked = questions(tmp_path / "q", *zip(numbers, TRAIN, strict=True))
    given = answers(tmp_path / "a", (0, "the first cat"), (1, "the second"))
    line = refused(call, data, str(given), "--questions", str(asked))
    assert "the question id 0 belongs to two images (cat/0.png, dog/0.png)" in line
    assert "renumber them" in line and not (tmp_path / "store" / "imported").exists()


def test_separate_imports_with_their_own_questions_are_merged(call: Call, data: Path, tmp_path: Path) -> None:
    """The suggested fix works: the second import keeps the captions of the first."""
    for number, images in enumerate((TRAIN[:2], TRAIN[2:])):
        asked = questions(tmp_path / f"q{number}", *enumerate(images))
        given = answers(tmp_path / f"a{number}", *((at, f"of {name}") for at, name in enumerate(images)))
        captions = imported(call, data, str(given), "--questions", str(asked))
    assert captions == {name: f"of {name}" for name in TRAIN}


def test_later_import_reports_kept_and_replaced_captions(call: Call, data: Path, tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in "12")
    first.write_text(lines([{"file_name": name, "text": "old"} for name in TRAIN[:3]]))
    second.write_text(lines([{"file_name": name, "text": "new"} for name in TRAIN[2:]]))
    imported(call, data, str(first))
    code, out, _ = call("captions", "import", str(second), "--dataset", f"folder:{data}")
    assert code == 0 and "captions of an earlier import: 2 kept, 1 replaced; to start over, delete" in out
    assert checked(call, data)["images_without_caption"] == []


def test_harmless_duplicate_ids_are_accepted(call: Call, data: Path, tmp_path: Path) -> None:
    """The id is the image, or both rows name one image in two ways."""
    pairs = [(name, name) for name in TRAIN] * 2 + [("cat/0.png", "./cat/0.png")]
    asked = questions(tmp_path / "q", *pairs)
    given = answers(tmp_path / "a", *((name, f"of {name}") for name in TRAIN))
    assert imported(call, data, str(given), "--questions", str(asked)).keys() == set(TRAIN)


def test_answer_to_another_question_stops_the_import(call: Call, data: Path, tmp_path: Path) -> None:
    asked = questions(tmp_path / "q", *enumerate(TRAIN))
    given = answers(tmp_path / "a", (0, "x"), prompt="What is 1?")
    assert "prompt is not question 0" in refused(call, data, str(given), "--questions", str(asked))
    answers(given, (0, "x"), prompt="<image>\nWhat is 0?")
    assert imported(call, data, str(given), "--questions", str(asked)) == {TRAIN[0]: "x"}
    answers(given, (0, "x"), image=TRAIN[1])
    assert "the question id 0 belongs to two images" in refused(
        call, data, str(given), "--questions", str(asked)
    )


def test_two_answers_to_one_question_stop_the_import(call: Call, data: Path, tmp_path: Path) -> None:
    """As in concatenated answer files; a repeated identical answer is accepted."""
    asked = questions(tmp_path / "q", *enumerate(TRAIN))
    given = answers(tmp_path / "a", (0, "x"), (0, "x"))
    assert imported(call, data, str(given), "--questions", str(asked)) == {TRAIN[0]: "x"}
    answers(given, (0, "x"), (0, "y"))
    line = refused(call, data, str(given), "--questions", str(asked))
    assert "line 2: the question id 0 has two different answers" in line and "got 'x / y'" in line


def test_duplicate_coco_image_ids_stop_the_import(call: Call, data: Path, tmp_path: Path) -> None:
    images = [{"id": number % 2, "file_name": name} for number, name in enumerate(TRAIN)]
    (tmp_path / "m.json").write_text(json.dumps(COCO | {"images": images}))
    line = refused(call, data, str(tmp_path / "m.json"))
    assert "the image id 0 belongs to two images (cat/0.png, dog/0.png)" in line


def test_contradicting_files_stop_the_import(call: Call, data: Path, tmp_path: Path) -> None:
    one, two = (tmp_path / f"{name}.jsonl" for name in ("one", "two"))
    one.write_text(lines([{"file_name": name, "text": "same"} for name in TRAIN]))
    two.write_text(lines([{"file_name": TRAIN[1], "text": "same "}, {"file_name": TRAIN[2], "text": "no"}]))
    line = refused(call, data, str(one), str(two))
    assert f"two files give 1 images different captions: got '{TRAIN[2]}: {one} and {two}'" in line
