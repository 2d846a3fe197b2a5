"""Caption files: formats, matching of image names, malformed lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from uvlp.captioners.texts.formats import clean, read_rows
from uvlp.captioners.texts.match import Match, match
from uvlp.core.errors import UvlpError

W, V = "n02086240", "n02087394"
IMAGES = (
    f"{W}/ILSVRC2012_val_00000293.JPEG",
    f"{W}/{W}_17.JPEG",
    f"{W}/{W}_99.JPEG",
    f"{V}/{V}_17.JPEG",
)
ANSWER = {
    "question_id": 1,
    "prompt": "Describe",
    "answer_id": "a7",
    "model_id": "llava-v1.5-7b",
    "metadata": {},
}


def written(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def row(name: str, text: str = "a dog") -> dict[str, str]:
    return {"file_name": name, "text": text}


def read(path: Path, questions: Path | None = None) -> list[tuple[str, str]]:
    return [(row.name, row.text) for row in read_rows([path], questions)]


def matched(*names: str, published: bool = False) -> Match:
    return match([(name, f"of {name}") for name in names], IMAGES, published=published)


@pytest.mark.parametrize(
    ("answer", "cleaned"),
    [
        ('  The "big" dog\'s ears. \n', "The big dog ears."),
        ("it's the dogs' dog", "it the dogs' dog"),
        ("'\"s", ""),  # quotes go first, and make an 's
        ('""', ""),
    ],
)
def test_answers_are_cleaned_as_published(answer: str, cleaned: str) -> None:
    assert clean(answer) == cleaned


def test_metadata_rows_are_kept_unchanged(tmp_path: Path) -> None:
    path = written(tmp_path / "m", row("a/b.png", ' the "dog\'s" '), "", row("./c.png", "ö"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path) == [("a/b.png", ' the "dog\'s" '), ("c.png", "ö")]


def test_answers_are_joined_with_their_questions(tmp_path: Path) -> None:
    """An id may be repeated for one image; an answer without a question is reported by its id."""
    questions = written(
        tmp_path / "q",
        {"question_id": "0", "image": f"./{W}/{W}_99.JPEG", "text": "Look", "category": "detail"},
        {"question_id": 1, "image": f"{W}/{W}_17.JPEG", "text": "Describe", "category": "detail"},
        {"question_id": 0, "image": f"{W}/{W}_99.JPEG", "text": "Describe", "category": "detail"},
    )
    answers = written(
        tmp_path / "a",
        ANSWER | {"text": ' A "dog\'s" head. '},
        ANSWER | {"question_id": 0, "text": "two"},
        ANSWER | {"question_id": 8, "text": "lost"},
    )
    expected = [(f"{W}/{W}_17.JPEG", "A dog head."), (f"{W}/{W}_99.JPEG", "two"), ("question 8", "lost")]
    assert read(answers, questions) == expected


def test_an_answer_may_include_its_image(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a", ANSWER | {"image": "a/b.png", "text": "x"})) == [("a/b.png", "x")]


def test_the_last_answer_of_a_conversation_is_used(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "<image>\nDescribe"},
        {"from": "gpt", "value": "no"},
        {"from": "human", "value": "Again"},
        {"from": "gpt", "value": "the dog's head"},
    ]
    path = written(tmp_path / "c", {"id": "7", "image": "a/b.png", "conversations": turns})
    assert read(path) == [("a/b.png", "the dog head")]


def test_formats_may_be_mixed_and_files_are_read_in_order(tmp_path: Path) -> None:
    first = written(tmp_path / "1", row("a.png", "1"))
    second = written(tmp_path / "2", ANSWER | {"image": "b.png", "text": "2"}, row("a.png", "3"))
    assert list(read_rows([first, second])) == [("a.png", "1", 0), ("b.png", "2", 0), ("a.png", "3", 0)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            {"question_id": 1, "image": "a", "text": "Describe", "category": "detail"},
            "a question, not an answer",
        ),
        (ANSWER | {"text": "x"}, "--questions"),
        (ANSWER | {"image": "a"}, "no field 'text'"),
        (ANSWER | {"image": 3, "text": "x"}, "'image'"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "got 'messages'"),
        ({"image": "a", "label": "x"}, "got 'image, label'"),
        ({"image": "a", "caption": "x", "prompt": "y"}, "got 'caption, prompt'"),
        ({"image": "a", "caption": 3}, "'caption'"),
        ('{"image": "a", "caption": "x", "caption": "y"}', "got 'caption'"),
        ({}, "got 'no field at all'"),
        ({"image": "a", "conversations": [{"from": "human", "value": "x"}]}, "without an answer"),
        ({"image": "a", "conversations": "x"}, "without an answer"),
        ({"conversations": [{"from": "gpt", "value": "x"}]}, "no field 'image'"),
        ([row("a.png")], "not a JSON object"),
        ("file_name,text", "not JSON"),
    ],
)
def test_a_malformed_line_is_located(line: Any, expected: str, tmp_path: Path) -> None:
    path = written(tmp_path / "captions.jsonl", row("z.png"), "", line)
    with pytest.raises(UvlpError) as caught:
        read(path)
    assert f"{path}, line 3: " in caught.value.what and expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("question", "got"),
    [
        ({"image": "a.png"}, "image"),
        ({"question_id": 1}, "question_id"),
        (ANSWER, "question_id, prompt, answer_id and 2 more"),
    ],
)
def test_a_malformed_question_is_located(question: dict[str, Any], got: str, tmp_path: Path) -> None:
    questions = written(tmp_path / "q", question)
    with pytest.raises(UvlpError) as caught:
        read(written(tmp_path / "a", ANSWER | {"text": "x"}), questions)
    assert f"{questions}, line 1: " in caught.value.what and caught.value.got == got


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        read(tmp_path / "none.jsonl")
    assert "none.jsonl" in caught.value.what


@pytest.mark.parametrize(
    "name",
    [
        f"{W}/{W}_17.JPEG",
        f"./{W}/{W}_17.JPEG",
        f"train/{W}/{W}_17.JPEG",
        f"/data/train/ImageWoof/train/{W}/{W}_17.JPEG",
        f"{W}\\{W}_17.JPEG",
        f"{W}/{W}MM17.JPEG",  # VLCP renames its images
        f"{W}/{W}_17_{W}.JPEG",  # as in ImageNet's own archive
        f"{W}/{W}MM17MM{W}.JPEG",
        f"{W}_17_{W}.JPEG",  # woof.jsonl
        f"{W}_17.JPEG",
    ],
)
def test_names_that_match_an_image(name: str) -> None:
    found = matched(name)
    assert {image for image, text in found.texts.items() if text} == {IMAGES[1]}
    assert found.without_image == () and found.rows == 1 and sum(found.overridden.values()) == 0


@pytest.mark.parametrize(
    "name",
    [
        f"{V}/{W}_17.JPEG",
        f"val/{W}/{W}_17.JPEG",
        f"{W}/{W}_17.png",
        f"{W}/{W}_18.JPEG",
        f"{W}",
        "question 8",
    ],
)
def test_names_that_match_no_image(name: str) -> None:
    found = matched(name)
    assert not any(found.texts.values())
    assert found.without_image == (name,) and found.with_rows == set()


def test_a_bare_name_of_two_images_matches_none() -> None:
    found = match([("1.png", "x"), ("cat/1.png", "exact")], ["cat/1.png", "dog/1.png"])
    assert found.texts == {"cat/1.png": "exact", "dog/1.png": ""}
    assert found.without_image == ("1.png",)


def test_published_matching_requires_the_class_in_the_name() -> None:
    names = f"ILSVRC2012_val_00000293_{W}.JPEG", f"{W}_17_{W}.JPEG"
    assert [image for image, text in matched(*names).texts.items() if text] == list(IMAGES[:2])
    found = matched(*names, published=True)
    assert [image for image, text in found.texts.items() if text] == [IMAGES[1]]
    assert found.without_image == (names[0],)
    assert len(found.without_caption) == 3


def test_the_last_row_of_a_name_overrides_the_others() -> None:
    rows = [("a/1.png", "one"), ("train/a/1.png", "two"), ("a/1.png", "three"), ("a/2.png", "x")]
    found = match(rows, ["a/1.png", "a/2.png"])
    assert found.texts == {"a/1.png": "three", "a/2.png": "x"}
    assert found.overridden == {"a/1.png": 2, "a/2.png": 0}
    assert match(rows[:2], ["a/1.png"]).texts == {"a/1.png": "two"}


def test_an_empty_caption_is_filled_from_another_name() -> None:
    rows = [(f"{W}/{W}_17.JPEG", "  "), (f"{W}_17_{W}.JPEG", "bare")]
    assert match(rows, IMAGES).texts[IMAGES[1]] == "bare"
    alone = match(rows[:1], IMAGES)
    assert alone.texts[IMAGES[1]] == "" and alone.with_rows == {IMAGES[1]}
    assert IMAGES[1] in alone.without_caption


def test_the_exact_name_takes_precedence_in_any_order() -> None:
    rows = [(f"{W}/{W}_17.JPEG", "exact"), (f"{W}/{W}MM17.JPEG", "renamed"), (f"{W}_17_{W}.JPEG", "bare")]
    for order in (rows, rows[::-1]):
        found = match(order, IMAGES)
        assert found.texts[IMAGES[1]] == "exact" and found.overridden[IMAGES[1]] == 2
