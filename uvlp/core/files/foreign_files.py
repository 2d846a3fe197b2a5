"""Files from other sources: only regular files are opened, and wrong content is identified in the error."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from uvlp.core.errors import UvlpError
from uvlp.core.wording import byte_size

BEGINNING_BYTES = 512
LONGEST_LINE_BYTES = 10**6
LONGEST_TEXT_BYTES = 10**9
LONGEST_CONFIGURATION_BYTES = 10**8

# Opening a FIFO or terminal blocks until there is a writer; a device never ends.
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class WrongContent(NamedTuple):
    """What a file contains instead of the expected content, and how to fix it."""

    title: str
    fix: str


_POINTER = WrongContent("a Git LFS pointer", "run `git lfs pull` in its folder")
_ANNEX = WrongContent("a git-annex pointer", "run `git annex get .` in its folder")
_PAGE = WrongContent("an HTML page", "delete it and download it again: the server sent a login or error page")
_DRAWING = WrongContent("an SVG drawing", "convert it to PNG")
_XML = WrongContent("an XML text", "delete it and download it again: the server sent an error")
_JSON = WrongContent("a JSON text", "delete it and download it again: the server sent an error")

# By the first bytes of a file, without whitespace and byte order mark, in lower case; first match wins.
_BEGINNINGS = (
    (b"version https://git-lfs", _POINTER),
    (b"version https://hawser", _POINTER),
    (b"/annex/objects/", _ANNEX),
    (b"../.git/annex/objects/", _ANNEX),
    *((tag, _PAGE) for tag in (b"<!doctype html", b"<html", b"<head", b"<body", b"<!--", b"<script")),
    (b"<svg", _DRAWING),
    (b"<?xml", _XML),
    (b"{", _JSON),
    (b"[", _JSON),
)


def check_regular(path: Path, what: str = "file") -> int:
    """Return the size of a regular file; refuse anything else before it is opened.

    Args:
        path: the file; links are followed.
        what: what the file should be, for the message.

    Raises:
        UvlpError: it is a folder, named pipe, socket or device.
        OSError: it does not exist or cannot be accessed.
    """
    status = os.stat(path)
    for is_kind, title in _KINDS:
        if is_kind(status.st_mode):
            raise UvlpError(f"the {what} {path} is not a file", got=title, allowed="a regular file")
    return status.st_size


def check_text(path: Path, what: str, at_most: int = LONGEST_TEXT_BYTES) -> None:
    """Refuse what cannot be read as text: anything but a regular file, a file too large, a pointer or a page.

    Args:
        what: what the file should be, for the message.
        at_most: largest size in bytes.

    Raises:
        UvlpError: it is one of these.
        OSError: it does not exist or cannot be read.
    """
    check_size(path, what, check_regular(path, what), at_most)
    refuse_wrong_content(path, what, text=True)


def check_size(path: Path, what: str, size: int, at_most: int) -> None:
    """Refuse a file that is too large for its purpose, before it is read.

    Raises:
        UvlpError: it has more than ``at_most`` bytes.
    """
    if size > at_most:
        allowed = f"at most {byte_size(at_most)}"
        raise UvlpError(f"the {what} {path} is too large", got=byte_size(size), allowed=allowed)


def refuse_wrong_content(path: Path, what: str, *, text: bool) -> None:
    """Refuse a regular file whose first bytes show that it is something else.

    Args:
        what: what the file should be, for the message.
        text: whether the expected file is a text itself.

    Raises:
        UvlpError: names what it is instead, and how to fix it.
    """
    actual = wrong_content(first_bytes(path), text=text)
    if actual is not None:
        raise UvlpError(f"this is {actual.title}, not the {what}", got=str(path), fix=actual.fix)


def iter_lines(path: Path, what: str) -> Iterator[bytes]:
    """Yield the lines of a text file with their line ends.

    Raises:
        UvlpError: it is not a text (:func:`check_text`, of any size), or a line is too long.
        OSError: it cannot be read.
    """
    check_text(path, what, sys.maxsize)
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE_BYTES + 1):
            number += 1
            if len(line) > LONGEST_LINE_BYTES:
                raise UvlpError(
                    f"{path}, line {number} is too long",
                    got=f"more than {byte_size(LONGEST_LINE_BYTES)}",
                    allowed="one entry per line",
                )
            yield line


def wrong_content(beginning: bytes, *, text: bool = False) -> WrongContent | None:
    """Identify by its first bytes what a supposed image, weights file or archive is; None if unknown.

    Args:
        beginning: its first ``BEGINNING_BYTES`` bytes.
        text: the file should be JSON or another text, so that only pointers and pages are reported.
    """
    start = beginning.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    content = next((kind for known, kind in _BEGINNINGS if start.startswith(known)), None)
    if content is _XML:
        content = _DRAWING if b"<svg" in start else _PAGE if b"<html" in start else _XML
    if (text and content in (_JSON, _XML)) or b"\0" in beginning:
        return None  # the length prefix of a safetensors file may look like JSON
    return content


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a regular file; empty if it cannot be read.

    Raises:
        UvlpError: it is not a regular file.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            return file.read(BEGINNING_BYTES)
    except OSError:
        return b""
