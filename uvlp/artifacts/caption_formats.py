"""Files with captions as others publish them, told apart line by line (methods.md A.2, B.1).

* rows ``{"file_name", "text"}``: `metadata.jsonl`, and VLCP's `nette.jsonl`, `woof.jsonl`, `idc.jsonl`;
* LLaVA's answers ``{"question_id", "prompt", "text", "answer_id", "model_id"}``, whose images stand in the
  question file ``{"question_id", "image", "text", "category"}`` or in the row itself;
* LLaVA's conversations ``{"image", "conversations": [{"from": "human", ...}, {"from": "gpt", "value"}]}``.

Answers come as the model gave them and are cleaned as VLCP does; rows of the first kind stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.caption_text import clean
from uvlp.artifacts.metadata_jsonl import text_field
from uvlp.core.errors import UvlpError

ANSWER_FIELDS = {"answer_id", "model_id", "prompt", "metadata"}
ALLOWED = (
    f'{metadata_jsonl.ROW}, an answer of LLaVA {{"question_id": 1, "text": "...", "answer_id": "..."}}, '
    'or {"image": "class/image.png", "conversations": [{"from": "gpt", "value": "..."}]}'
)
QUESTION_ROW = '{"question_id": 1, "image": "class/image.png", "text": "..."}'


def read_rows(paths: Sequence[Path], questions: Path | None) -> Iterator[tuple[str, str]]:
    """File name as written and caption of every row of all files, in order.

    Args:
        paths: files with captions, e.g. the parts in which LLaVA's answers were made.
        questions: LLaVA's question file, for answers that name no image.

    Raises:
        UvlpError: a file cannot be read, or a line is of no known kind (its number is named).
    """
    images = _read_questions(questions) if questions else None
    for path in paths:
        for where, row in metadata_jsonl.objects(path, ALLOWED):
            yield _name_and_text(row, where, images)


def _read_questions(path: Path) -> dict[str, str]:
    """Image by question id."""
    images = {}
    for where, row in metadata_jsonl.objects(path, QUESTION_ROW):
        if "question_id" not in row:
            raise UvlpError(f"{where}: no question", got=", ".join(row) or "no field", allowed=QUESTION_ROW)
        images[str(row["question_id"])] = text_field(row, "image", where, QUESTION_ROW)
    return images


def _name_and_text(row: Mapping[str, Any], where: str, images: Mapping[str, str] | None) -> tuple[str, str]:
    if "file_name" in row:
        return metadata_jsonl.name_and_text(row, where)
    if "conversations" in row:
        return text_field(row, "image", where, ALLOWED), clean(_last_answer(row["conversations"], where))
    if "question_id" not in row:
        got = ", ".join(row) or "no field at all"
        raise UvlpError(f"{where}: not a known kind of caption", got=got, allowed=ALLOWED)
    if not ANSWER_FIELDS & row.keys():
        raise UvlpError(
            f"{where}: a question, not an answer",
            got=", ".join(row),
            do="give LLaVA's answers, and this file with --questions",
        )
    text = clean(text_field(row, "text", where, ALLOWED))
    if "image" in row:
        return text_field(row, "image", where, ALLOWED), text
    if images is None:
        raise UvlpError(
            f"{where}: the answer names no image", do="give LLaVA's question file with --questions"
        )
    # An answer to a question of another file has no image; it is reported as such, as published.
    return images.get(str(row["question_id"]), f"question {row['question_id']}"), text


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
