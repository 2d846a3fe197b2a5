"""Captions in the making: every so many images a file that outlives a kill.

A file counts once it stands under its name, and only with the hash that was written into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from uvlp.core.errors import wrong_return
from uvlp.core.files import json_files, sealed
from uvlp.core.wording import kind_of


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said about an image, and whether it came to an end in the allowed tokens."""

    text: str
    ended: bool = True


def check(found: object, count: int, file: str) -> list[Answer]:
    """What `answers` of the captioner in ``file`` returned.

    Raises:
        UvlpError: not ``count`` answers, or one that is no text.
    """
    wanted = f"{count} of captioners/texts/shards.py's Answer"
    if not isinstance(found, Sequence):
        raise wrong_return(file, "answers", wanted, kind_of(found))
    for each in found:
        if not isinstance(each, Answer) or not isinstance(each.text, str):
            raise wrong_return(file, "answers", wanted, f"{kind_of(each)} among them")
    if len(found) != count:
        raise wrong_return(file, "answers", wanted, f"{len(found)} of them")
    return list(found)


def read(folder: Path, of: str, files: Sequence[str], size: int, log: Callable[[str], None]) -> list[Answer]:
    """The answers of all shards up to the first that is missing or not as it was written, which is said.

    Args:
        folder: that outlives an interrupted run.
        of: key of what the answers are for.
        files: every image, in order.
        size: images per shard.
    """
    found: list[Answer] = []
    while len(found) < len(files):
        path = _path(folder, len(found))
        if not path.exists():
            break
        answers = _read(path, of, files[len(found) : len(found) + size])
        if answers is None:
            log(f"{path.name}: captions that are not as they were written; asking again from there on")
            break
        found += answers
    return found


def _read(path: Path, of: str, files: Sequence[str]) -> list[Answer] | None:
    """The answers of a shard; None if it is damaged or belongs to other images."""
    try:
        rows = [dict(row) for row in sealed.read(path, of) or ()]
        if not rows or [row.pop("file_name") for row in rows] != list(files):
            return None
        return [json_files.build(Answer, row) for row in rows]
    except (ValueError, TypeError, KeyError):
        return None


def write(
    folder: Path, of: str, files: Sequence[str], size: int, done: int, answers: Iterable[Answer]
) -> Iterator[Answer]:
    """Pass on ``answers`` and write a shard whenever one is full, or the last.

    Args:
        folder: that outlives an interrupted run.
        of: key of what the answers are for.
        files: every image, in order.
        size: images per shard.
        done: number of images that already have an answer, whole shards.
        answers: of the images from ``done`` on.
    """
    pending: list[Answer] = []
    for answer in answers:
        pending.append(answer)
        if len(pending) == size or done + len(pending) == len(files):
            named = zip(files[done:], pending, strict=False)
            rows = [{"file_name": name, **asdict(held)} for name, held in named]
            sealed.write(_path(folder, done), of, rows)
            done, pending = done + len(pending), []
        yield answer


def _path(folder: Path, first: int) -> Path:
    return folder / f"{first:08}.jsonl"
