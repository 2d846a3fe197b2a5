"""Answers of a captioning model: checked, and stored as the parts of unfinished captions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from uvlp.core.errors import wrong_return
from uvlp.core.files import json_files
from uvlp.core.wording import kind_of

FILE = "answers.jsonl"


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's text for an image, and whether it ended within the token limit."""

    text: str
    ended: bool = True


def check(returned: object, count: int, file: str) -> list[Answer]:
    """Check what `answers` of the captioner in ``file`` returned.

    Raises:
        UvlpError: not ``count`` answers, or one without a text.
    """
    wanted = f"{count} of captioners/texts/answers.py's Answer"
    if not isinstance(returned, Sequence):
        raise wrong_return(file, "answers", wanted, kind_of(returned))
    for each in returned:
        if not isinstance(each, Answer) or not isinstance(each.text, str):
            raise wrong_return(file, "answers", wanted, f"{kind_of(each)} among them")
    if len(returned) != count:
        raise wrong_return(file, "answers", wanted, f"{len(returned)} of them")
    return list(returned)


def write(folder: Path, answers: Sequence[Answer]) -> None:
    """Write the answers of a part."""
    lines = [json.dumps(asdict(answer), ensure_ascii=False) + "\n" for answer in answers]
    (folder / FILE).write_text("".join(lines), encoding="utf-8")


def read(folder: Path) -> list[Answer]:
    """Read the answers of a part.

    Raises:
        UvlpError: they are damaged.
    """
    return json_files.read_rows(Answer, folder / FILE)
