"""Parsing of `PATH` and `NAME=FOLDER,FOLDER` of `uvlp evaluate`: the folders of one row of a table.

An argument that exists, a folder or a file, is always read as a path. A backslash escapes ``=`` or ``,``.
Several arguments with the same name are one row, in the given order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.paths import expand_home
from uvlp.core.files.unicode_form import nfc

FORM = "NAME=FOLDER,FOLDER,..., one folder per seed"
BASELINE = "baseline:"
"""What precedes the name of imported images of published code."""
LONGEST = 40


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        name: its title; empty for a plain path.
        paths: a folder per seed as given.
        baseline: name, repository and commit of the published code that made the images; they are part of
            the facts of the images.
        stored: facts of images that are in the store already, one per folder, which may be gone since.
    """

    name: str
    paths: tuple[str, ...]
    baseline: Mapping[str, str] = field(default_factory=dict)
    stored: tuple[Mapping[str, Any], ...] = ()

    @property
    def spec(self) -> str:
        """The row as it is given on the command line."""
        if self.baseline:
            return f"{BASELINE}{self.baseline['name']}"
        return f"{self.name}={','.join(self.paths)}"


def parse_rows(texts: Iterable[str]) -> list[Row]:
    """Parse the arguments into rows, in order.

    Raises:
        UvlpError: a name or a folder is empty, or a name is invalid.
    """
    rows: dict[tuple[str, str], Row] = {}
    for text in texts:
        row = _parse(text)
        key = row.name, "" if row.name else row.paths[0]
        if row.name and key in rows:
            row = Row(row.name, rows[key].paths + row.paths)
        rows[key] = row
    return list(rows.values())


def _parse(text: str) -> Row:
    parts = re.match(r"(.*?)(?<!\\)=(.*)", text, re.DOTALL)
    # A name contains no slash: out/lr=0.1 is a path, whether it exists or not.
    if _exists(text) or parts is None or "/" in parts[1]:
        return Row("", (_plain_path(text),))
    name = nfc(_plain(parts[1]).strip())
    if not name or not name.isprintable() or len(name) > LONGEST:
        allowed = f"1 to {LONGEST} printable characters"
        raise UvlpError("invalid name of a row", got=name, allowed=f"{FORM}; a name of {allowed}")
    return Row(name, tuple(_folders(parts[2], text)))


def _folders(text: str, argument: str) -> Iterator[str]:
    """Yield the folders between commas; a comma may be part of the name of an existing folder."""
    pieces = re.split(r"(?<!\\),", text)
    while pieces:
        ends = range(len(pieces), 0, -1)
        end = next((end for end in ends if _exists(",".join(pieces[:end]))), 1)
        path = _unescaped(",".join(pieces[:end]))
        if not path:
            raise UvlpError("a row without a folder", got=argument, allowed=FORM)
        if not _exists(path) and set(path) & set("*?["):
            fix = "list every folder; most shells expand NAME=out/seed{0,1,2}, but not * after ="
            raise UvlpError("a folder pattern in a row", got=path, allowed=FORM, fix=fix)
        yield path
        pieces = pieces[end:]


def _plain_path(text: str) -> str:
    """Return a single path; several folders need a name."""
    name, _, folders = text.partition("=")
    if "/" in name and not _exists(text) and all(map(_exists, folders.split(","))):
        raise UvlpError("invalid name of a row", got=name, allowed=f"{FORM}; a name without a slash")
    pieces = text.split(",")
    if not _exists(text) and len(pieces) > 1 and all(map(_exists, pieces)):
        raise UvlpError("several folders without a name", got=text, allowed=FORM, fix=f"write NAME={text}")
    return _unescaped(text)


def _unescaped(text: str) -> str:
    """Return the folder as written if it exists, else without escaping backslashes."""
    return text if _exists(text) else _plain(text)


def _plain(text: str) -> str:
    return re.sub(r"\\([=,])", r"\1", text)


def _exists(text: str) -> bool:
    try:
        return bool(text) and "\0" not in text and os.path.exists(expand_home(text))
    except UvlpError:
        return False
