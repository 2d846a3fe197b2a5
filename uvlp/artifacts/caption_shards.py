"""Captions in the making: every so many images a file that outlives a kill.

A file counts once it stands under its name, which it gets after it was flushed to disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from uvlp.core import json_files
from uvlp.core.lines import read_lines


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said about an image, and whether it came to an end in the allowed tokens."""

    text: str
    ended: bool = True


def read(folder: Path, files: Sequence[str], size: int) -> list[Answer]:
    """The answers of all shards up to the first that is missing or belongs to other images.

    Args:
        folder: that outlives an interrupted run.
        files: every image, in order.
        size: images per shard.
    """
    found: list[Answer] = []
    while len(found) < len(files):
        path = _path(folder, len(found))
        if not path.is_file():
            break
        answers = _read(path, files[len(found) : len(found) + size])
        if answers is None:
            break
        found += answers
    return found


def _read(path: Path, files: Sequence[str]) -> list[Answer] | None:
    """The answers of a shard; None if it is damaged or belongs to other images."""
    try:
        rows = [json_files.parse(line) for line in read_lines(path)]
        if [row.pop("file_name") for row in rows] != list(files):
            return None
        return [json_files.build(Answer, row) for row in rows]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def write(
    folder: Path, files: Sequence[str], size: int, done: int, answers: Iterable[Answer]
) -> Iterator[Answer]:
    """Pass on ``answers`` and write a shard whenever one is full, or the last.

    Args:
        folder: that outlives an interrupted run.
        files: every image, in order.
        size: images per shard.
        done: number of images that already have an answer, whole shards.
        answers: of the images from ``done`` on.
    """
    pending: list[Answer] = []
    for answer in answers:
        pending.append(answer)
        if len(pending) == size or done + len(pending) == len(files):
            _write(_path(folder, done), zip(files[done:], pending, strict=False))
            done, pending = done + len(pending), []
        yield answer


def _path(folder: Path, first: int) -> Path:
    return folder / f"{first:08}.jsonl"


def _write(path: Path, rows: Iterable[tuple[str, Answer]]) -> None:
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", encoding="utf-8") as file:
        for name, answer in rows:
            file.write(json.dumps({"file_name": name, **asdict(answer)}, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
