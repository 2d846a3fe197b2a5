"""Read caption files in any published format as rows of named fields.

* JSON lines, one object each; a JSON list of objects; an object with such a list in it;
* COCO's captions: an object with `images` and `annotations`;
* one object with an entry per image: ``{"class/image.png": "a caption"}``, or with fields in the entry;
* a table with a header line: CSV (RFC 4180), or separated by tabs, semicolons or ``|``.

Any other format is an error, with a message of bounded length.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uvlp.artifacts import metadata_jsonl
from uvlp.captioners.texts.match import same_image
from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import LONGEST_LINE_BYTES, check_text
from uvlp.core.wording import byte_size, first_few

TABLES = tuple(
    f"{name}.{suffix}" for name in ("metadata", "captions") for suffix in ("jsonl", "csv", "tsv", "json")
)
UNREAD = ("metadata.parquet", "captions.parquet")
"""`TABLES`: names of caption files among images; `UNREAD`: those that are refused there."""
IMAGE_FIELDS = (
    *("file_name", "image", "filename", "file", "path", "img", "image_path", "file_path", "filepath"),
    *("image_file", "image_file_name", "image_name", "img_path", "img_name"),
)
TEXT_FIELDS = (
    *("text", "caption", "captions", "prompt", "description", "title", "sentence", "sentences"),
    *("additional_feature", "comment", "caption_text", "image_caption", "alt_text", "txt"),
)
LARGEST_BYTES = 400_000_000
"""Limit for a JSON list or a table: long captions of ImageNet-1K are 320 MB, and 3 GB in memory."""
SEPARATORS = ",\t;|"
BINARY = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"PK": "a zip archive or spreadsheet",
    b"\x1f\x8b": "a gzip archive",
    b"SQLite": "a database",
    b"\x80": "a pickle, which can run any program",
    b"\xff\xfe": "a text in UTF-16",
    b"\xfe\xff": "a text in UTF-16",
}
TO_CSV = "save it as CSV in UTF-8 with the columns file_name and text"
Row = Mapping[str, Any]


def read(path: Path, allowed: str) -> Iterator[tuple[str, Row]]:
    """Yield every row with its location for messages; blank lines are skipped.

    Args:
        path: UTF-8, with or without a byte order mark.
        allowed: the allowed rows, for messages.

    Raises:
        UvlpError: the file cannot be read, has an unknown format, or a row is malformed (its line is given).
    """
    first = _first_line(path)
    if first.startswith("["):
        return _entries(path, "", _json(path, allowed), allowed)
    if first.startswith("{"):
        return _objects(path, first, allowed)
    if _separator(first) or path.suffix.lower() in (".csv", ".tsv"):
        return _table(path, allowed)
    return metadata_jsonl.objects(path, allowed)


def _first_line(path: Path) -> str:
    """The first line that is not blank.

    Raises:
        UvlpError: it cannot be read, or is a binary file.
    """
    try:
        check_text(path, metadata_jsonl.CAPTIONS)
        with path.open("rb") as file:
            heads = iter(lambda: file.readline(LONGEST_LINE_BYTES), b"")
            begin = next((line for line in heads if line.removeprefix(b"\xef\xbb\xbf").strip()), b"")
    except OSError as error:
        raise UvlpError(f"cannot read {path}", got=error.strerror) from error
    for mark, kind in BINARY.items():
        if begin.startswith(mark):
            raise UvlpError("unsupported format of a caption file", got=f"{path}: {kind}", fix=TO_CSV)
    return begin.decode("utf-8-sig", errors="replace").strip()


def _text(path: Path) -> str:
    """Read the entire file, for formats that are not read line by line.

    Raises:
        UvlpError: it is too large for memory, or not UTF-8.
    """
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise UvlpError(
            f"the {metadata_jsonl.CAPTIONS} {path} is too large to be read as one list or table",
            got=byte_size(size),
            allowed=f"at most {byte_size(LARGEST_BYTES)}",
            fix="write one JSON object per line, or several files",
        )
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        got = content[max(0, error.start - 20) : error.start + 20]
        raise UvlpError(f"{path}, line {line}: not UTF-8", got=got, fix="save the file as UTF-8") from error


def _json(path: Path, allowed: str) -> Any:
    """Parse the file as a single JSON value."""
    text = _text(path)
    try:
        return metadata_jsonl.parse_json(text)
    except metadata_jsonl.RepeatedName as error:
        raise UvlpError(f"{path}: duplicate name", got=str(error), fix="keep one of them") from error
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        got = (text.split("\n")[line - 1 : line] or [""])[0].strip()[:60]
        raise UvlpError(f"{path}, line {line}: not JSON", got=got, allowed=allowed) from error


def _entries(path: Path, what: str, entries: Sequence[Any], allowed: str) -> Iterator[tuple[str, Row]]:
    for number, entry in enumerate(entries, 1):
        where = f"{path}, {what}entry {number}"
        if not isinstance(entry, dict):
            raise UvlpError(f"{where}: not a JSON object", got=str(entry)[:60], allowed=allowed)
        yield where, entry


def _objects(path: Path, first: str, allowed: str) -> Iterator[tuple[str, Row]]:
    """Read JSON lines, or a single object on one or several lines."""
    try:
        lines = metadata_jsonl.objects(path, allowed)
        first_rows = [next(lines)]
    except UvlpError as error:
        if first.endswith("}"):
            raise  # one object per line, and this one is malformed
        try:
            return _object(path, _json(path, allowed), allowed)
        except UvlpError:
            if len(first) < LONGEST_LINE_BYTES // 2:
                raise
            raise error from None  # the first of many lines is too long
    first_rows += [second for second in [next(lines, None)] if second]
    if len(first_rows) == 1 and not _is_row(first_rows[0][1]):
        return _object(path, first_rows[0][1], allowed)
    return itertools.chain(first_rows, lines)


def _is_row(value: Row) -> bool:
    """Return whether an object is a row about one image, not a collection of rows."""
    text_fields = () if _lists(value) else TEXT_FIELDS
    named = (value[name] for name in (*IMAGE_FIELDS, *text_fields) if name in value)
    return bool({"conversations", "question_id"} & value.keys()) or any(isinstance(x, str) for x in named)


def _object(path: Path, value: Any, allowed: str) -> Iterator[tuple[str, Row]]:
    """The rows of a file that is a single object."""
    if not isinstance(value, dict):
        return _entries(path, "", [value], allowed)
    if _is_row(value):
        return _entries(path, "", [value], allowed)
    lists = _lists(value)
    if {"images", "annotations"} <= lists.keys():
        return _coco(path, lists["images"], lists["annotations"], allowed)
    if len(lists) == 1:
        ((name, entries),) = lists.items()
        return _entries(path, f"{name}, ", entries, allowed)
    inner = next(iter(value.values())) if len(value) == 1 else None
    if isinstance(inner, dict) and not {*IMAGE_FIELDS, *TEXT_FIELDS} & inner.keys():
        return _object(path, inner, allowed)
    if not lists and value and all(isinstance(part, str | list | dict) for part in value.values()):
        return _mapping(path, value)
    got = first_few(value) or "an empty object"
    raise UvlpError(f"{path}: unknown format of a caption file", got=got, allowed=allowed)


def _lists(value: Row) -> dict[str, list[Row]]:
    """The fields whose value is a list of objects."""
    return {
        name: part
        for name, part in value.items()
        if isinstance(part, list) and part and all(isinstance(entry, dict) for entry in part)
    }


def _mapping(path: Path, value: Row) -> Iterator[tuple[str, Row]]:
    for name, entry in value.items():
        fields = entry if isinstance(entry, dict) else {"text": entry}
        yield f"{path}, entry {name[:200]!r}", {**fields, "file_name": name}


def _coco(path: Path, images: list[Row], annotations: list[Row], allowed: str) -> Iterator[tuple[str, Row]]:
    """The annotations, each with the file name of its image."""
    names: dict[str, str] = {}
    for where, image in _entries(path, "images, ", images, allowed):
        if not isinstance(image.get("file_name"), str) or "id" not in image:
            raise UvlpError(f"{where}: no id and file_name", got=first_few(image), allowed=allowed)
        known = names.setdefault(str(image["id"]), image["file_name"])
        if not same_image(known, image["file_name"]):
            raise two_images("image id", image["id"], names[str(image["id"])], image["file_name"], where)
    for where, annotation in _entries(path, "annotations, ", annotations, allowed):
        if "image_id" not in annotation:
            raise UvlpError(f"{where}: no image_id", got=first_few(annotation), allowed=allowed)
        number = str(annotation["image_id"])
        yield where, {**annotation, "file_name": names.get(number, f"image {number}")}


def two_images(kind: str, number: object, one: str, other: str, where: str) -> UvlpError:
    """The error for an id of two images, whose captions are ambiguous."""
    return UvlpError(
        f"the {kind} {number} belongs to two images ({one}, {other})",
        got=where,
        fix="renumber them, or import each answer file with its own question file",
    )


def _separator(line: str, usual: str = SEPARATORS) -> str:
    """The column separator of a header line that has an image column; empty if there is none."""
    for separator in usual:
        names = {cell.strip().strip('"').lower() for cell in line.split(separator)}
        if len(names) > 1 and names & set(IMAGE_FIELDS):
            return separator
    return ""


def _table(path: Path, allowed: str) -> Iterator[tuple[str, Row]]:
    first = _first_line(path)
    usual = "\t,;|" if path.suffix.lower() == ".tsv" else SEPARATORS
    separator = _separator(first, usual)
    if first and not separator:
        fix = "write column names into the first line: file_name,text"
        raise UvlpError(f"{path}: no column with image names", got=first[:200], fix=fix)
    lines = csv.reader(
        io.StringIO(_text(path), newline=""),
        delimiter=separator or ",",
        strict=True,
        skipinitialspace=separator == "|",
    )
    head: list[str] = []
    try:
        for cells in lines:
            where = f"{path}, line {lines.line_num}"
            if not head:
                head = _head(cells, where)
            elif any(cell.strip() for cell in cells):
                yield where, dict(zip(head, _checked(cells, head, where), strict=True))
    except csv.Error as error:
        raise UvlpError(f"{path}, line {lines.line_num}: not CSV", got=str(error)) from error


def _head(cells: list[str], where: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = [name for name in dict.fromkeys(names) if name and names.count(name) > 1]
    if twice:
        raise UvlpError(f"{where}: duplicate column name", got=first_few(twice), fix="rename one of them")
    return names


def _checked(cells: list[str], head: list[str], where: str) -> list[str]:
    if len(cells) != len(head):
        fix = "put texts that contain a separator or a quote into double quotes"
        got, allowed = f"{len(cells)} cells", f"{len(head)}: {first_few(head)}"
        raise UvlpError(
            f"{where}: the number of cells is not that of the columns", got=got, allowed=allowed, fix=fix
        )
    return cells
