"""Caption files of others: every format, every quirk of their names, every broken line."""

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


def test_metadata_rows_stay_as_they_are(tmp_path: Path) -> None:
    path = written(tmp_path / "m", row("a/b.png", ' the "dog\'s" '), "", row("./c.png", "ö"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path) == [("a/b.png", ' the "dog\'s" '), ("c.png", "ö")]


def test_answers_are_joined_with_their_questions(tmp_path: Path) -> None:
    """A number may be repeated for one image; an answer without a question is named as such."""
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


def test_an_answer_may_name_its_image(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a", ANSWER | {"image": "a/b.png", "text": "x"})) == [("a/b.png", "x")]


def test_of_a_conversation_the_last_answer_counts(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "<image>\nDescribe"},
        {"from": "gpt", "value": "no"},
        {"from": "human", "value": "Again"},
        {"from": "gpt", "value": "the dog's head"},
    ]
    path = written(tmp_path / "c", {"id": "7", "image": "a/b.png", "conversations": turns})
    assert read(path) == [("a/b.png", "the dog head")]


def test_kinds_may_be_mixed_and_files_are_read_in_order(tmp_path: Path) -> None:
    first = written(tmp_path / "1", row("a.png", "1"))
    second = written(tmp_path / "2", ANSWER | {"image": "b.png", "text": "2"}, row("a.png", "3"))
    assert list(read_rows([first, second])) == [("a.png", "1", 0), ("b.png", "2", 0), ("a.png", "3", 0)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            {"question_id": 1, "image": "a", "text": "Describe", "category": "detail"},
            "a question, not an answer",
        ),
        (ANSWER | {"text": "x"}, "the answer names no image; give LLaVA's question file with --questions"),
        (ANSWER | {"image": "a"}, "no field 'text'"),
        (ANSWER | {"image": 3, "text": "x"}, "'image' is not a text"),
        (
            {"messages": [{"role": "assistant", "content": "x"}]},
            "not a known kind of caption: got 'messages'",
        ),
        ({"image": "a", "label": "x"}, "no field with a caption: got 'image, label'"),
        ({"image": "a", "caption": "x", "prompt": "y"}, "several fields may be the caption"),
        ({"image": "a", "caption": 3}, "'caption' is not a text"),
        ('{"image": "a", "caption": "x", "caption": "y"}', "a name stands twice: got 'caption'"),
        ({}, "not a known kind of caption: got 'no field at all'"),
        ({"image": "a", "conversations": [{"from": "human", "value": "x"}]}, "without an answer"),
        ({"image": "a", "conversations": "x"}, "without an answer"),
        ({"conversations": [{"from": "gpt", "value": "x"}]}, "no field 'image'"),
        ([row("a.png")], "not a JSON object"),
        ("file_name,text", "not JSON"),
    ],
)
def test_a_broken_line_is_named_with_its_number(line: Any, said: str, tmp_path: Path) -> None:
    path = written(tmp_path / "captions.jsonl", row("z.png"), "", line)
    with pytest.raises(UvlpError, match=r"captions\.jsonl, line 3: ") as caught:
        read(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"image": "a.png"}, "line 1: no question: got 'image'"),
        ({"question_id": 1}, "line 1: no field 'image'"),
        (ANSWER, "line 1: no field 'image'"),
    ],
)
def test_a_broken_question_is_named(question: dict[str, Any], said: str, tmp_path: Path) -> None:
    questions = written(tmp_path / "q", question)
    with pytest.raises(UvlpError, match=said):
        read(written(tmp_path / "a", ANSWER | {"text": "x"}), questions)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UvlpError, match="cannot read .*none.jsonl"):
        read(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    "name",
    [
        f"{W}/{W}_17.JPEG",
        f"./{W}/{W}_17.JPEG",
        f"train/{W}/{W}_17.JPEG",
        f"/data/train/ImageWoof/train/{W}/{W}_17.JPEG",
        f"{W}\\{W}_17.JPEG",
        f"{W}/{W}MM17.JPEG",  # VLCP renames its images
        f"{W}/{W}_17_{W}.JPEG",  # as ImageNet's own archive calls them
        f"{W}/{W}MM17MM{W}.JPEG",
        f"{W}_17_{W}.JPEG",  # woof.jsonl
        f"{W}_17.JPEG",
    ],
)
def test_names_that_belong_to_an_image(name: str) -> None:
    found = matched(name)
    assert {image for image, text in found.texts.items() if text} == {IMAGES[1]}
    assert found.without_image == () and found.rows == 1 and sum(found.overruled.values()) == 0


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
def test_names_that_belong_to_no_image(name: str) -> None:
    found = matched(name)
    assert not any(found.texts.values())
    assert found.without_image == (name,) and found.with_rows == set()


def test_a_bare_name_of_two_images_belongs_to_none() -> None:
    found = match([("1.png", "x"), ("cat/1.png", "exact")], ["cat/1.png", "dog/1.png"])
    assert found.texts == {"cat/1.png": "exact", "dog/1.png": ""}
    assert found.without_image == ("1.png",)


def test_published_matching_leaves_out_what_is_not_named_after_its_class() -> None:
    names = f"ILSVRC2012_val_00000293_{W}.JPEG", f"{W}_17_{W}.JPEG"
    assert [image for image, text in matched(*names).texts.items() if text] == list(IMAGES[:2])
    found = matched(*names, published=True)
    assert [image for image, text in found.texts.items() if text] == [IMAGES[1]]
    assert found.without_image == (names[0],)
    assert len(found.without_caption) == 3


def test_the_last_row_of_a_name_counts_and_the_rest_are_overruled() -> None:
    rows = [("a/1.png", "one"), ("train/a/1.png", "two"), ("a/1.png", "three"), ("a/2.png", "x")]
    found = match(rows, ["a/1.png", "a/2.png"])
    assert found.texts == {"a/1.png": "three", "a/2.png": "x"}
    assert found.overruled == {"a/1.png": 2, "a/2.png": 0}
    assert match(rows[:2], ["a/1.png"]).texts == {"a/1.png": "two"}


def test_an_empty_caption_leaves_the_word_to_another_name() -> None:
    rows = [(f"{W}/{W}_17.JPEG", "  "), (f"{W}_17_{W}.JPEG", "bare")]
    assert match(rows, IMAGES).texts[IMAGES[1]] == "bare"
    alone = match(rows[:1], IMAGES)
    assert alone.texts[IMAGES[1]] == "" and alone.with_rows == {IMAGES[1]}
    assert IMAGES[1] in alone.without_caption


def test_the_exact_name_comes_first_wherever_it_stands() -> None:
    rows = [(f"{W}/{W}_17.JPEG", "exact"), (f"{W}/{W}MM17.JPEG", "renamed"), (f"{W}_17_{W}.JPEG", "bare")]
    for order in (rows, rows[::-1]):
        found = match(order, IMAGES)
        assert found.texts[IMAGES[1]] == "exact" and found.overruled[IMAGES[1]] == 2
