"""`captions`: one text per training image, and the label-only prompt of every class.

`metadata.jsonl` contains one row per image in the dataset's file order; `prompts.json` contains the prompts
by class id. A missing caption is a row with an empty text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.dataset import ClassInfo
from uvlp.core.errors import UvlpError, wrong_return
from uvlp.core.files import json_files
from uvlp.core.wording import first_few, kind_of

KIND = "captions"
SCHEMA = 1
PROMPTS = "prompts.json"
MISSING = ("stop", "empty")


@dataclass(frozen=True, slots=True)
class Captions:
    """Content of the artifact.

    Attributes:
        files: training images in the dataset's order, e.g. ``train/3/0007.png``.
        texts: one caption per file; empty where it is missing.
        prompts: class id -> prompt made only of the label.
        missing: number of files without a caption.
    """

    files: tuple[str, ...]
    texts: tuple[str, ...]
    prompts: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Number of files without a caption."""
        return sum(_is_missing(text) for text in self.texts)


def _is_missing(text: str | None) -> bool:
    return text is None or not text.strip()


def check_coverage(files: Sequence[str], texts: Mapping[str, str], missing: str) -> int:
    """Count ``files`` without a caption; empty ones count as missing (methods.md A.2, E10).

    Args:
        files: training images.
        texts: captions by file name.
        missing: ``"stop"`` raises if any is missing, ``"empty"`` allows it.

    Raises:
        UvlpError: captions are missing (names the first, counts all), or ``missing`` is unknown.
    """
    if missing not in MISSING:
        raise UvlpError("unknown value of --missing-captions", got=missing, allowed=", ".join(MISSING))
    without = [name for name in files if _is_missing(texts.get(name))]
    if without and missing == "stop":
        raise UvlpError(
            f"{len(without)} of {len(files)} training images have no caption",
            got=first_few(without),
            fix="add them to metadata.jsonl or with `uvlp captions import`, or pass --missing-captions empty",
        )
    return len(without)


def class_lines(classes: Iterable[ClassInfo]) -> dict[str, str]:
    """Return the label-only prompt of every class by id: all names of the class (methods.md C)."""
    return {info.id: info.synonyms for info in classes}


def write(folder: Path, rows: Iterable[tuple[str, str]], prompts: Mapping[str, str]) -> None:
    """Write one row per (file name, text) and the prompt of every class."""
    lines = [json.dumps({"file_name": name, "text": text}, ensure_ascii=False) + "\n" for name, text in rows]
    (folder / metadata_jsonl.FILE).write_text("".join(lines), encoding="utf-8")
    (folder / PROMPTS).write_text(
        json.dumps(dict(prompts), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def read(folder: Path) -> Captions:
    """Read what :func:`write` wrote.

    Raises:
        UvlpError: it is damaged.
        OSError: it cannot be read.
    """
    texts = metadata_jsonl.parse(folder / metadata_jsonl.FILE).texts
    prompts = json_files.read_texts(folder / PROMPTS)
    return Captions(tuple(texts), tuple(texts.values()), prompts)


def check_texts(returned: object, count: int, file: str, function: str = "captions") -> list[str]:
    """Check and return what a function of the captioner in ``file`` returned.

    Raises:
        UvlpError: it is not ``count`` non-empty texts.
    """
    wanted = f"{count} texts of one line"
    if not isinstance(returned, Sequence) or isinstance(returned, str):
        raise wrong_return(file, function, wanted, kind_of(returned))
    texts = list(returned)
    if len(texts) != count:
        raise wrong_return(file, function, wanted, f"{len(texts)} of them")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise wrong_return(file, function, wanted, f"{kind_of(text)} in row {row}")
        if not text.strip() or "\n" in text:
            raise wrong_return(file, function, wanted, f"{text!r} in row {row}")
    return texts


def check(captions: Captions, files: Sequence[str]) -> None:
    """Check that the rows are those of ``files``, in that order.

    Raises:
        UvlpError: they are not; names the first difference.
    """
    if captions.files == tuple(files):
        return
    pairs = enumerate(zip(captions.files, files, strict=False), 1)
    differing = next((f"row {row}: {got} for {name}" for row, (got, name) in pairs if got != name), None)
    raise UvlpError(
        "stage caption: the rows are not the training images in order",
        got=differing or f"{len(captions.files)} rows",
        allowed=f"{len(files)} rows, one per training image",
        fix="remove the artifact and re-run the command",
    )
