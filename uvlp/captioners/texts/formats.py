"""Published caption formats: rows of caption files, VLCP's question and its cleaning of answers.

* a field with the image's name and a field with the caption: `metadata.jsonl`, `metadata.csv`, VLCP's
  `nette.jsonl`, `woof.jsonl`, `idc.jsonl`, COCO's captions (field names: `captioners/texts/tables.py`);
* LLaVA's answers ``{"question_id", "prompt", "text", "answer_id", "model_id"}``, whose images are in the
  question file ``{"question_id", "image", "text", "category"}`` or in the row itself;
* LLaVA's conversations ``{"image", "conversations": [{"from": "human", ...}, {"from": "gpt", "value"}]}``.

Answers are raw model output and are cleaned as in VLCP (methods.md A.2, B.1); rows of the first kind are
kept unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.metadata_jsonl import text_field
from uvlp.captioners.texts import tables
from uvlp.captioners.texts.match import same_image
from uvlp.captioners.texts.tables import IMAGE_FIELDS, TEXT_FIELDS, two_images
from uvlp.core.errors import UvlpError
from uvlp.core.files.unicode_form import nfc
from uvlp.core.wording import first_few

ANSWER_FIELDS = {"answer_id", "model_id", "prompt", "metadata"}
ALLOWED = (
    f'{metadata_jsonl.ROW}, an answer of LLaVA {{"question_id": 1, "text": "...", "answer_id": "..."}}, '
    '{"image": "class/image.png", "conversations": [{"from": "gpt", "value": "..."}]}, '
    "a JSON list of such rows, or a CSV with the columns file_name,text"
)
QUESTION_ROW = '{"question_id": 1, "image": "class/image.png", "text": "..."}'


class Caption(NamedTuple):
    """A row: the image's name as written, its caption, and the number of further captions in the row."""

    name: str
    text: str
    further: int = 0


class Question(NamedTuple):
    """The entries of a question id: its image, its question texts, and the answers read so far."""

    image: str
    texts: list[str]
    answers: list[str]


def read_rows(paths: Sequence[Path], questions: Path | None = None, field: str = "") -> Iterator[Caption]:
    """Read the captions of all files, in order.

    Args:
        paths: caption files, e.g. the parts of LLaVA's answers.
        questions: LLaVA's question file, for answers without an image.
        field: name of the caption field; empty to detect it.

    Raises:
        UvlpError: a file cannot be read, a row has an unknown format (its line is given), or a question id
            belongs to two images.
    """
    by_id = _read_questions(questions) if questions else None
    for path in paths:
        for where, row in tables.read(path, ALLOWED):
            yield _caption(row, where, by_id, field)


def _read_questions(path: Path) -> dict[str, Question]:
    """Questions by id; an id may be repeated, but only for the same image."""
    by_id: dict[str, Question] = {}
    for where, row in tables.read(path, QUESTION_ROW):
        number = _number(row, where)
        image = _image(row, where, QUESTION_ROW)
        entry = by_id.setdefault(number, Question(image, [], []))
        entry.texts.append(_plain(row.get("text")))
        if not same_image(entry.image, image):
            raise two_images("question id", number, entry.image, image, where)
    return by_id


def _number(row: Mapping[str, Any], where: str) -> str:
    """The id of a question, an integer or a string."""
    number = row.get("question_id")
    if isinstance(number, bool) or not isinstance(number, int | str):
        got = first_few(row) if "question_id" not in row else repr(number)
        raise UvlpError(f"{where}: no question id", got=got or "no field", allowed=QUESTION_ROW)
    return str(number)


def _caption(
    row: Mapping[str, Any], where: str, questions: Mapping[str, Question] | None, field: str
) -> Caption:
    # The name in JSON may have a different Unicode form than on the command line.
    field = next((name for name in row if field and nfc(name) == nfc(field)), field)
    if field and field not in row:
        got = first_few(row) or "no field at all"
        raise UvlpError(f"{where}: no field {field!r} (--caption-field)", got=got)
    if "conversations" in row and not field:
        # A sample without an image is reported by its id.
        named = bool(_named(row, IMAGE_FIELDS)) or not isinstance(row.get("id"), str | int)
        name = _image(row, where) if named else str(row["id"])
        return Caption(name, clean(_last_answer(row["conversations"], where)))
    if "question_id" in row and not {"file_name", "caption"} & row.keys():
        return _answer(row, where, questions, field)
    if not _named(row, IMAGE_FIELDS):
        got = first_few(row) or "no field at all"
        raise UvlpError(f"{where}: unknown caption format", got=got, allowed=ALLOWED)
    text, further = text_of(row, where, field)
    return Caption(_image(row, where), text, further)


def _answer(
    row: Mapping[str, Any], where: str, questions: Mapping[str, Question] | None, field: str
) -> Caption:
    if not ANSWER_FIELDS & row.keys():
        raise UvlpError(
            f"{where}: a question, not an answer",
            got=first_few(row),
            fix="pass LLaVA's answers, and this file with --questions",
        )
    text = clean(text_field(row, field or "text", where, ALLOWED))
    number = _number(row, where)
    question = (questions or {}).get(number)
    if question:
        _check_question(row, question, where)
        _check_answer(text, number, question, where)
    if _named(row, IMAGE_FIELDS):
        image = _image(row, where)
        if question and not same_image(question.image, image):
            raise two_images("question id", number, question.image, image, where)
        return Caption(image, text)
    if questions is None:
        raise UvlpError(
            f"{where}: the answer has no image", fix="pass LLaVA's question file with --questions"
        )
    # An answer to a question of another file has no image and is reported as unmatched, as published.
    return Caption(question.image if question else f"question {number}", text)


def _check_question(row: Mapping[str, Any], question: Question, where: str) -> None:
    """Check that the answer's prompt matches the question with its id; surrounding text is ignored."""
    prompt = _plain(row.get("prompt"))
    if prompt and all(text and prompt not in text and text not in prompt for text in question.texts):
        raise UvlpError(
            f"{where}: the answer's prompt is not question {row['question_id']} of the question file",
            got=prompt[:200],
            allowed=first_few(question.texts),
            fix="pass the question file that these answers were generated from",
        )


def _check_answer(text: str, number: str, question: Question, where: str) -> None:
    """Check that a single question has a single answer; otherwise two answer files were concatenated."""
    question.answers.append(text)
    if len(question.texts) == 1 and text != question.answers[0]:
        raise UvlpError(
            f"{where}: the question id {number} has two different answers",
            got=f"{question.answers[0][:100]} / {text[:100]}",
            fix="keep one answer; import concatenated answer files separately, each with its question file",
        )


def _plain(text: Any) -> str:
    """A question without LLaVA's image token, with whitespace collapsed."""
    return " ".join(str(text or "").replace("<image>", " ").split())


def _named(row: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    """The fields of ``row`` whose names are in ``fields``, ignoring case, in the order of ``fields``."""
    by_lower: dict[str, str] = {}
    for name in row:
        by_lower.setdefault(name.strip().lower(), name)
    return [by_lower[name] for name in fields if name in by_lower]


def _image(row: Mapping[str, Any], where: str, allowed: str = ALLOWED) -> str:
    """The image name in a row."""
    fields = _named(row, IMAGE_FIELDS)
    if not fields:
        got = first_few(row)
        raise UvlpError(f"{where}: no field 'image' or 'file_name'", got=got, allowed=allowed)
    value = row[fields[0]]
    if isinstance(value, list) and len(value) == 1:
        row = {fields[0]: value[0]}
    else:
        _check_one_image([str(row[name]) for name in fields], where)
    return PurePosixPath(nfc(text_field(row, fields[0], where, ALLOWED))).as_posix()


def _check_one_image(names: Sequence[str], where: str) -> None:
    """Check that all file fields name the same file, with paths of any length."""
    files = {nfc(PurePosixPath(name).name) for name in names if PurePosixPath(name).suffix}
    if len(files) > 1:
        raise UvlpError(f"{where}: two fields name different images", got=first_few(names), fix="keep one")


def text_of(row: Mapping[str, Any], where: str, field: str = "") -> tuple[str, int]:
    """The first caption of a row, and the number of further captions."""
    field = field or _text_field(row, where)
    value = row[field]
    if not isinstance(value, list):
        return text_field(row, field, where), 0
    if not value:
        return "", 0
    first = value[0]
    if isinstance(first, dict):  # Karpathy's splits: tokens and the raw sentence
        first = first.get("raw", first)
    return text_field({field: first}, field, where), len(value) - 1


def _text_field(row: Mapping[str, Any], where: str) -> str:
    """The caption field: `text` if it exists, else the field with a known caption name.

    Raises:
        UvlpError: there is none, or several with different values.
    """
    fields = _named(row, TEXT_FIELDS)
    if not fields:
        raise UvlpError(
            f"{where}: no caption field",
            got=first_few(row) or "no field at all",
            allowed=f"one of {', '.join(TEXT_FIELDS[:6])}",
            fix="rename it, choose it with `uvlp captions import FILE --caption-field NAME`, or move the "
            "file elsewhere",
        )
    different = [name for name in fields[1:] if row[name] != row[fields[0]]]
    if fields[0].lower() == "text":
        different = [name for name in different if name.lower() in ("caption", "captions")]
    if different:
        raise UvlpError(
            f"{where}: several possible caption fields",
            got=", ".join([fields[0], *different]),
            fix="choose one: `uvlp captions import FILE --caption-field NAME`",
        )
    return fields[0]


def _last_answer(turns: Any, where: str) -> str:
    """The model's last answer in a conversation."""
    answers = [
        turn["value"]
        for turn in (turns if isinstance(turns, list) else [])
        if isinstance(turn, dict) and turn.get("from") == "gpt" and isinstance(turn.get("value"), str)
    ]
    if not answers:
        raise UvlpError(f"{where}: a conversation without an answer", got=str(turns)[:60], allowed=ALLOWED)
    return str(answers[-1])


QUESTION = (
    "Describe the physical appearance of the {name} in the image."  # no space follows, as published
    "Include details about its shape, posture, color, and any distinct features."
)


def question(name: str) -> str:
    """The question about an image of class ``name``, which includes all synonyms for ImageNet classes."""
    return QUESTION.format(name=name)


def clean(answer: str) -> str:
    """Strip the answer, then remove all double quotes, then all ``'s``."""
    return answer.strip().replace('"', "").replace("'s", "")
