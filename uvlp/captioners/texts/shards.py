"""Partial captions: a file per shard of images, which survives a killed run.

A shard is valid once it has its final name and matches the hash stored in it.
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
    """A model's text for an image, and whether it ended within the token limit."""

    text: str
    ended: bool = True


def check(returned: object, count: int, file: str) -> list[Answer]:
    """Check what `answers` of the captioner in ``file`` returned.

    Raises:
        UvlpError: not ``count`` answers, or one without a text.
    """
    wanted = f"{count} of captioners/texts/shards.py's Answer"
    if not isinstance(returned, Sequence):
        raise wrong_return(file, "answers", wanted, kind_of(returned))
    for each in returned:
        if not isinstance(each, Answer) or not isinstance(each.text, str):
            raise wrong_return(file, "answers", wanted, f"{kind_of(each)} among them")
    if len(returned) != count:
        raise wrong_return(file, "answers", wanted, f"{len(returned)} of them")
    return list(returned)


def read(folder: Path, of: str, files: Sequence[str], size: int, log: Callable[[str], None]) -> list[Answer]:
    """Read the answers of all shards up to the first that is missing or, with a message, damaged.

    Args:
        folder: of the shards; it survives an interrupted run.
        of: key that the answers belong to.
        files: every image, in order.
        size: images per shard.
    """
    answers: list[Answer] = []
    while len(answers) < len(files):
        path = _path(folder, len(answers))
        if not path.exists():
            break
        shard = _read(path, of, files[len(answers) : len(answers) + size])
        if shard is None:
            log(f"{path.name} is damaged; captions are generated again from there")
            break
        answers += shard
    return answers


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
    """Yield ``answers``, writing a shard whenever one is full or the last.

    Args:
        folder: of the shards; it survives an interrupted run.
        of: key that the answers belong to.
        files: every image, in order.
        size: images per shard.
        done: number of images that already have an answer, in complete shards.
        answers: of the images from ``done`` on.
    """
    pending: list[Answer] = []
    for answer in answers:
        pending.append(answer)
        if len(pending) == size or done + len(pending) == len(files):
            named = zip(files[done:], pending, strict=False)
            rows = [{"file_name": name, **asdict(each)} for name, each in named]
            sealed.write(_path(folder, done), of, rows)
            done, pending = done + len(pending), []
        yield answer


def _path(folder: Path, first: int) -> Path:
    return folder / f"{first:08}.jsonl"
