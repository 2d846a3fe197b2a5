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
    """The rows of one file: ``texts`` by file name as written, and how many rows were overruled."""

    texts: Mapping[str, str]
    duplicates: int


def parse(path: Path, sha256: str = "") -> Metadata:
    """Read the file; of two rows for one name the last one counts, blank lines are skipped.

    Args:
        sha256: what the file must hold, byte for byte; empty: anything.

    Raises:
        UvlpError: the file cannot be read, a line is broken (file and line number are named), or the file
            has other bytes than ``sha256``.
    """
    rows = [name_and_text(row, where) for where, row in objects(path, sha256=sha256)]
    return Metadata(dict(rows), len(rows) - len(dict(rows)))


def objects(path: Path, allowed: str = ROW, sha256: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every line that is not blank: where it stands, for messages, and the JSON object on it.

    Args:
        path: UTF-8, with or without a byte order mark.
        allowed: what a line may look like, for messages.
        sha256: what the file must hold, byte for byte, told at its end; empty: anything.

    Raises:
        UvlpError: the file cannot be read, a line is something else (its number is named), or the file has
            other bytes than ``sha256``.
    """
    found = hashlib.sha256()
    try:
        for number, line in enumerate(iter_lines(path, CAPTIONS), 1):
            found.update(line)
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if content.strip():
                where = f"{path}, line {number}"
                yield where, _object(content, where, allowed)
    except OSError as error:
        raise UvlpError(f"cannot read {path}", got=error.strerror) from error
    if sha256 and found.hexdigest() != sha256:
        raise changed_during_read(path)


def _object(line: bytes, where: str, allowed: str) -> dict[str, Any]:
    try:
        row = parse_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UvlpError(f"{where}: not UTF-8", got=line[:60], fix="save the file as UTF-8") from error
    except RepeatedName as error:
        raise UvlpError(f"{where}: a name stands twice", got=str(error), fix="keep one of them") from error
    except (ValueError, RecursionError) as error:
        shown = line.strip()[:60].decode(errors="replace")
        raise UvlpError(f"{where}: not JSON", got=shown, allowed=allowed) from error
    if not isinstance(row, dict):
        raise UvlpError(f"{where}: not a JSON object", got=str(row)[:60], allowed=allowed)
    return row


class RepeatedName(ValueError):
    """A name stands twice in a JSON object, with two values; the library would take the last one."""


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        RepeatedName: an object gives one name two values.
        ValueError, RecursionError: it is no JSON, or too deep.
    """
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        for name, value in pairs:
            if found[name] != value:
                raise RepeatedName(name)
    return found


def name_and_text(row: Mapping[str, Any], where: str) -> tuple[str, str]:
    """File name (without a leading ``./``, in NFC) and text of one row.

    Raises:
        UvlpError: a field is missing or no text.
    """
    name = PurePosixPath(nfc(text_field(row, "file_name", where))).as_posix()
    return name, text_field(row, "text", where)


def text_field(row: Mapping[str, Any], field: str, where: str, allowed: str = ROW) -> str:
    """The text in ``field``.

    Raises:
        UvlpError: it is missing, no text, or cannot be written as UTF-8.
    """
    if field not in row:
        got = first_few(row) or "no field at all"
        raise UvlpError(f"{where}: no field {field!r}", got=got, allowed=allowed)
    value = row[field]
    if not isinstance(value, str):
        got = "null" if value is None else value
        raise UvlpError(f"{where}: {field!r} is not a text", got=got, allowed=allowed)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UvlpError(f"{where}: {field!r} holds half a character", got=value, allowed=allowed) from error
    return value


def resolve(texts: Mapping[str, str], names: Iterable[str], where: str) -> dict[str, str]:
    """Text by image name: the exact relative path first, then the bare file name (methods.md E31).

    Args:
        texts: as parsed; a name is a path relative to the metadata file, or a bare file name.
        names: every image, relative to the folder of the metadata file.
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
    strangers = [key for key in bare if key not in by_bare_name]
    _refuse(where, "captions for images that do not exist", strangers, known)
    several = [key for key in bare if len(by_bare_name[key]) > 1]
    _refuse(where, "bare file names that several images have", several, known)
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
