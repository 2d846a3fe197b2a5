"""Captions in a file beside each image: text, or a JSON object with a caption field.

Other programs use the same file names, e.g. for boxes of a detector: lines of numbers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from uvlp.artifacts import metadata_jsonl
from uvlp.captioners.texts import formats
from uvlp.captioners.texts.tables import TEXT_FIELDS
from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import check_text
from uvlp.core.files.lines import split_lines

SIDECARS = (".txt", ".caption", ".json")
LONGEST_BYTES = 10**6
NUMBERS = re.compile(r"[\s\d.,;:eE+\-]*")


def read_sidecar(path: Path) -> tuple[str | None, int]:
    """Read the caption, None if the file has none, and the number of further captions.

    The first of several lines is used, as in the programs with this convention.

    Raises:
        UvlpError: it cannot be read, is not UTF-8 or JSON, or the caption field is ambiguous.
    """
    content = _content(path)
    if path.suffix == ".json":
        return _field(path, content)
    lines = [line.strip() for line in split_lines(content) if line.strip()]
    if not lines:
        return "", 0
    if NUMBERS.fullmatch(" ".join(lines)):
        return None, 0
    return lines[0], len(lines) - 1


def _content(path: Path) -> str:
    try:
        check_text(path, "caption", LONGEST_BYTES)
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UvlpError(f"{path}: not UTF-8", fix="save the file as UTF-8") from error
    except OSError as error:
        raise UvlpError(f"cannot read {path}", got=error.strerror) from error


def _field(path: Path, content: str) -> tuple[str | None, int]:
    try:
        value: Any = metadata_jsonl.parse_json(content)
    except (ValueError, RecursionError) as error:
        raise UvlpError(f"{path}: not JSON", got=content.strip()[:60]) from error
    if isinstance(value, str):
        return value, 0
    if not isinstance(value, dict) or not {name.strip().lower() for name in value} & set(TEXT_FIELDS):
        return None, 0
    try:
        return formats.text_of(value, str(path))
    except UvlpError as error:
        raise UvlpError(error.what, got=error.got, allowed=error.allowed, fix="keep one text") from error
