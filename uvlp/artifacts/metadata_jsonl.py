"""`metadata.jsonl`: one JSON object per line with `file_name` and `text` (methods.md A.2)."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import iter_lines
from uvlp.core.files.unicode_form import nfc
from uvlp.core.hashing import changed_during_read
from uvlp.core.wording import first_few

FILE, CAPTIONS = "metadata.jsonl", "file with captions"
ROW = '{"file_name": "class/image.png", "text": "a caption"}'


@dataclass(frozen=True, slots=True)
class Metadata:
    """The rows of one file: ``texts`` by file name as written, and the number of overridden rows."""

    texts: Mapping[str, str]
    duplicates: int


def parse(path: Path, sha256: str = "") -> Metadata:
    """Read the file; the last row for a name counts, blank lines are skipped.

    Args:
        sha256: expected hash of the file; empty: any.

    Raises:
        UvlpError: the file cannot be read, a line is invalid (names file and line number), or the hash of
            the file is not ``sha256``.
    """
    rows = [name_and_text(row, where) for where, row in objects(path, sha256=sha256)]
    return Metadata(dict(rows), len(rows) - len(dict(rows)))


def objects(path: Path, allowed: str = ROW, sha256: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield for every non-blank line its location for messages, and its JSON object.

    Args:
        path: UTF-8 file, with or without a byte order mark.
        allowed: example of a valid line, for messages.
        sha256: expected hash of the file, checked at its end; empty: any.

    Raises:
        UvlpError: the file cannot be read, a line is invalid (names its number), or the hash of the file is
            not ``sha256``.
    """
    actual = hashlib.sha256()
    try:
        for number, line in enumerate(iter_lines(path, CAPTIONS), 1):
            actual.update(line)
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if content.strip():
                where = f"{path}, line {number}"
                yield where, _object(content, where, allowed)
    except OSError as error:
        raise UvlpError(f"cannot read {path}", got=error.strerror) from error
    if sha256 and actual.hexdigest() != sha256:
        raise changed_during_read(path)


def _object(line: bytes, where: str, allowed: str) -> dict[str, Any]:
    try:
        row = parse_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UvlpError(f"{where}: not UTF-8", got=line[:60], fix="save the file as UTF-8") from error
    except RepeatedName as error:
        raise UvlpError(f"{where}: a name appears twice", got=str(error), fix="keep one of them") from error
    except (ValueError, RecursionError) as error:
        shown = line.strip()[:60].decode(errors="replace")
        raise UvlpError(f"{where}: not JSON", got=shown, allowed=allowed) from error
    if not isinstance(row, dict):
        raise UvlpError(f"{where}: not a JSON object", got=str(row)[:60], allowed=allowed)
    return row


class RepeatedName(ValueError):
    """A name appears twice in a JSON object with different values; `json` would use the last one."""


def parse_json(text: str) -> Any:
    """Parse a JSON text.

    Raises:
        RepeatedName: a name in an object has two values.
        ValueError, RecursionError: it is not JSON, or nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        for name, value in pairs:
            if result[name] != value:
                raise RepeatedName(name)
    return result


def name_and_text(row: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Return file name (without a leading ``./``, in NFC) and text of one row.

    Raises:
        UvlpError: a field is missing or not a string.
    """
    name = PurePosixPath(nfc(text_field(row, "file_name", where))).as_posix()
    return name, text_field(row, "text", where)


def text_field(row: Mapping[str, Any], field: str, where: str, allowed: str = ROW) -> str:
    """Return the text in ``field``.

    Raises:
        UvlpError: it is missing, not a string, or cannot be encoded in UTF-8.
    """
    if field not in row:
        got = first_few(row) or "no fields"
        raise UvlpError(f"{where}: no field {field!r}", got=got, allowed=allowed)
    value = row[field]
    if not isinstance(value, str):
        got = "null" if value is None else value
        raise UvlpError(f"{where}: {field!r} is not a text", got=got, allowed=allowed)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UvlpError(
            f"{where}: {field!r} contains a lone surrogate", got=value, allowed=allowed
        ) from error
    return value


def resolve(texts: Mapping[str, str], names: Iterable[str], where: str) -> dict[str, str]:
    """Match texts to images: by exact relative path first, then by bare file name (methods.md E31).

    Args:
        texts: as parsed; names are paths relative to the metadata file, or bare file names.
        names: all images, relative to the folder of the metadata file.
        where: the metadata file, for messages.

    Raises:
        UvlpError: a row's image does not exist, or its bare name belongs to several images.
    """
    known = set(names)
    texts = {key if key in known else key.replace("\\", "/"): text for key, text in texts.items()}
    by_bare_name: dict[str, list[str]] = defaultdict(list)
    for name in known:
        by_bare_name[PurePosixPath(name).name].append(name)
    bare = [key for key in texts if key not in known]
    unmatched = [key for key in bare if key not in by_bare_name]
    _refuse(where, "captions for images that do not exist", unmatched, known)
    ambiguous = [key for key in bare if len(by_bare_name[key]) > 1]
    _refuse(where, "bare file names that several images have", ambiguous, known)
    return {by_bare_name[key][0]: texts[key] for key in bare} | {
        key: text for key, text in texts.items() if key in known
    }


def _refuse(where: str, what: str, keys: list[str], known: set[str]) -> None:
    if keys:
        example = f", such as {min(known)}" if known else ""
        raise UvlpError(
            f"{where}: {len(keys)} {what}",
            got=first_few(keys),
            allowed=f"paths relative to the file's own folder{example}, or bare file names that occur once",
            fix="correct or remove these rows",
        )
