"""Captions as others publish them: rows of their files, VLCP's question and how it cleans the answer.

* a field that names the image and a field with the caption: `metadata.jsonl`, `metadata.csv`, VLCP's
  `nette.jsonl`, `woof.jsonl`, `idc.jsonl`, COCO's captions (`captioners/texts/tables.py` has the names);
* LLaVA's answers ``{"question_id", "prompt", "text", "answer_id", "model_id"}``, whose images stand in the
  question file ``{"question_id", "image", "text", "category"}`` or in the row itself;
* LLaVA's conversations ``{"image", "conversations": [{"from": "human", ...}, {"from": "gpt", "value"}]}``.

Answers come as the model gave them and are cleaned as VLCP does (methods.md A.2, B.1); rows of the first kind
stay as they are.
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
    """One row: the image's name as written, its caption, and how many further captions the row has."""

    name: str
    text: str
    further: int = 0


class Question(NamedTuple):
    """What a question file says of a number: its image, what is asked about it, and the answers so far."""

    image: str
    texts: list[str]
    answers: list[str]


def read_rows(paths: Sequence[Path], questions: Path | None = None, field: str = "") -> Iterator[Caption]:
    """The captions of all files, in order.

    Args:
        paths: files with captions, e.g. the parts in which LLaVA's answers were made.
        questions: LLaVA's question file, for answers that name no image.
        field: name of the field with the caption; empty: as the conventions have it.

    Raises:
        UvlpError: a file cannot be read, a row is of no known kind (its place is named), or a question's
            number stands for two images.
    """
    asked = _read_questions(questions) if questions else None
    for path in paths:
        for where, row in tables.read(path, ALLOWED):
            yield _caption(row, where, asked, field)


def _read_questions(path: Path) -> dict[str, Question]:
    """Image and question by number; a number may be repeated for one image, and stand for no other."""
    found: dict[str, Question] = {}
    for where, row in tables.read(path, QUESTION_ROW):
        number = _number(row, where)
        image = _image(row, where, QUESTION_ROW)
        known = found.setdefault(number, Question(image, [], []))
        known.texts.append(_plain(row.get("text")))
        if not same_image(known.image, image):
            raise two_images("question id", number, known.image, image, where)
    return found


def _number(row: Mapping[str, Any], where: str) -> str:
    """The number of a question, which some write as a text."""
    number = row.get("question_id")
    if isinstance(number, bool) or not isinstance(number, int | str):
        got = first_few(row) if "question_id" not in row else repr(number)
        raise UvlpError(f"{where}: no question", got=got or "no field", allowed=QUESTION_ROW)
    return str(number)


def _caption(row: Mapping[str, Any], where: str, asked: Mapping[str, Question] | None, field: str) -> Caption:
    # JSON may have the name in another form than the command line.
    field = next((name for name in row if field and nfc(name) == nfc(field)), field)
    if field and field not in row:
        got = first_few(row) or "no field at all"
        raise UvlpError(f"{where}: no field {field!r} (--caption-field)", got=got)
    if "conversations" in row and not field:
        # A sample without an image has a number at least, under which it is reported.
        named = bool(_named(row, IMAGE_FIELDS)) or not isinstance(row.get("id"), str | int)
        name = _image(row, where) if named else str(row["id"])
        return Caption(name, clean(_last_answer(row["conversations"], where)))
    if "question_id" in row and not {"file_name", "caption"} & row.keys():
        return _answer(row, where, asked, field)
    if not _named(row, IMAGE_FIELDS):
        got = first_few(row) or "no field at all"
        raise UvlpError(f"{where}: not a known kind of caption", got=got, allowed=ALLOWED)
    text, further = text_of(row, where, field)
    return Caption(_image(row, where), text, further)


def _answer(row: Mapping[str, Any], where: str, asked: Mapping[str, Question] | None, field: str) -> Caption:
    if not ANSWER_FIELDS & row.keys():
        raise UvlpError(
            f"{where}: a question, not an answer",
            got=first_few(row),
            fix="give LLaVA's answers, and this file with --questions",
        )
    text = clean(text_field(row, field or "text", where, ALLOWED))
    number = _number(row, where)
    question = (asked or {}).get(number)
    if question:
        _check_question(row, question, where)
        _check_answer(text, number, question, where)
    if _named(row, IMAGE_FIELDS):
        image = _image(row, where)
        if question and not same_image(question.image, image):
            raise two_images("question id", number, question.image, image, where)
        return Caption(image, text)
    if asked is None:
        raise UvlpError(
            f"{where}: the answer names no image", fix="give LLaVA's question file with --questions"
        )
    # An answer to a question of another file has no image; it is reported as such, as published.
    return Caption(question.image if question else f"question {number}", text)


def _check_question(row: Mapping[str, Any], question: Question, where: str) -> None:
    """The answer was given to the question that has its number; what stands around either does not count."""
    said = _plain(row.get("prompt"))
    if said and all(text and said not in text and text not in said for text in question.texts):
        raise UvlpError(
            f"{where}: the answer to another question than number {row['question_id']} of the question file",
            got=said[:200],
            allowed=first_few(question.texts),
            fix="give the question file that these answers were made with",
        )


def _check_answer(text: str, number: str, question: Question, where: str) -> None:
    """What was asked once has one answer; else the answers of two files were joined."""
    question.answers.append(text)
    if len(question.texts) == 1 and text != question.answers[0]:
        raise UvlpError(
            f"{where}: the question id {number} is answered twice, in different words",
            got=f"{question.answers[0][:100]} / {text[:100]}",
            fix="keep one answer; joined files of answers need each its own question file and import",
        )


def _plain(text: Any) -> str:
    """A question without LLaVA's mark for the image, blanks made one."""
    return " ".join(str(text or "").replace("<image>", " ").split())


def _named(row: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    """The fields of ``row`` that are called as ``fields``, in their order, capitals or not."""
    own: dict[str, str] = {}
    for name in row:
        own.setdefault(name.strip().lower(), name)
    return [own[name] for name in fields if name in own]


def _image(row: Mapping[str, Any], where: str, allowed: str = ALLOWED) -> str:
    """The image that a row names."""
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
    """Fields that name a file each name one file, if with more or less of the way to it."""
    files = {nfc(PurePosixPath(name).name) for name in names if PurePosixPath(name).suffix}
    if len(files) > 1:
        raise UvlpError(f"{where}: two fields name different images", got=first_few(names), fix="keep one")


def text_of(row: Mapping[str, Any], where: str, field: str = "") -> tuple[str, int]:
    """The caption of a row, the first of several; and the number of the others."""
    field = field or _text_field(row, where)
    value = row[field]
    if not isinstance(value, list):
        return text_field(row, field, where), 0
    if not value:
        return "", 0
    first = value[0]
    if isinstance(first, dict):  # Karpathy's splits: words, and the sentence as it was
        first = first.get("raw", first)
    return text_field({field: first}, field, where), len(value) - 1


def _text_field(row: Mapping[str, Any], where: str) -> str:
    """The field with the caption: `text` where it is there, else the one that is called like a caption.

    Raises:
        UvlpError: there is none, or several that say different things.
    """
    fields = _named(row, TEXT_FIELDS)
    if not fields:
        raise UvlpError(
            f"{where}: no field with a caption",
            got=first_few(row) or "no field at all",
            allowed=f"one of {', '.join(TEXT_FIELDS[:6])}",
            fix="rename it, name it with `uvlp captions import FILE --caption-field NAME`, or move the "
            "file away",
        )
    different = [name for name in fields[1:] if row[name] != row[fields[0]]]
    if fields[0].lower() == "text":
        different = [name for name in different if name.lower() in ("caption", "captions")]
    if different:
        raise UvlpError(
            f"{where}: several fields may be the caption",
            got=", ".join([fields[0], *different]),
            fix="name it: `uvlp captions import FILE --caption-field NAME`",
        )
    return fields[0]


def _last_answer(turns: Any, where: str) -> str:
    """What the model said last in a conversation."""
    said = [
        turn["value"]
        for turn in (turns if isinstance(turns, list) else [])
        if isinstance(turn, dict) and turn.get("from") == "gpt" and isinstance(turn.get("value"), str)
    ]
    if not said:
        raise UvlpError(f"{where}: a conversation without an answer", got=str(turns)[:60], allowed=ALLOWED)
    return str(said[-1])


QUESTION = (
    "Describe the physical appearance of the {name} in the image."  # no blank follows, as published
    "Include details about its shape, posture, color, and any distinct features."
)


def question(name: str) -> str:
    """The question about an image of the class ``name``, ImageNet's full synonyms where it has them."""
    return QUESTION.format(name=name)


def clean(answer: str) -> str:
    """The answer stripped, then without every double quote, then without every ``'s``."""
    return answer.strip().replace('"', "").replace("'s", "")
