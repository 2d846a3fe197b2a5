"""Files that others made: what is no regular file is not opened, what stands in its place is named."""

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

# An open FIFO or terminal waits for a writer, a device never ends.
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class Impostor(NamedTuple):
    """What a file is that stands in another one's place, and what to do about it."""

    title: str
    fix: str


_POINTER = Impostor("a Git LFS pointer", "run `git lfs pull` in its folder")
_ANNEX = Impostor("a git-annex pointer", "run `git annex get .` in its folder")
_PAGE = Impostor("an HTML page", "delete it and download it again: a log-in or error page came instead")
_DRAWING = Impostor("an SVG drawing", "convert it to PNG")
_XML = Impostor("an XML text", "delete it and download it again: an error message came instead")
_JSON = Impostor("a JSON text", "delete it and download it again: an error message came instead")

# By how a file begins, blanks and a byte order mark left out, in small letters; the first that fits.
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
    """Refuse what is no regular file before it is opened; the size of one that is.

    Args:
        path: of somebody else; a link is followed.
        what: the file should be, for the message.

    Raises:
        UvlpError: a folder, named pipe, socket or device.
        OSError: there is nothing, or it may not be looked at.
    """
    status = os.stat(path)
    for is_kind, title in _KINDS:
        if is_kind(status.st_mode):
            raise UvlpError(f"the {what} {path} is no file", got=title, allowed="a regular file")
    return status.st_size


def check_text(path: Path, what: str, at_most: int = LONGEST_TEXT_BYTES) -> None:
    """Refuse what cannot be read as a text of others: no regular file, too long, a pointer or a page.

    Args:
        what: the file should be, for the message.
        at_most: bytes.

    Raises:
        UvlpError: it is one of these.
        OSError: there is nothing, or it may not be read.
    """
    check_size(path, what, check_regular(path, what), at_most)
    refuse_impostor(path, what, text=True)


def check_size(path: Path, what: str, size: int, at_most: int) -> None:
    """Refuse a file that cannot be what it should be by its bytes, before any is read.

    Raises:
        UvlpError: it has more than ``at_most``.
    """
    if size > at_most:
        allowed = f"at most {byte_size(at_most)}"
        raise UvlpError(f"the {what} {path} is too large", got=byte_size(size), allowed=allowed)


def refuse_impostor(path: Path, what: str, *, text: bool) -> None:
    """Refuse a regular file that stands in another one's place.

    Args:
        what: the file should be, for the message.
        text: that is a text itself.

    Raises:
        UvlpError: what it is instead, and what to do.
    """
    other = impostor(begins(path), text=text)
    if other is not None:
        raise UvlpError(f"this is {other.title}, not the {what}", got=str(path), fix=other.fix)


def lines_of(path: Path, what: str) -> Iterator[bytes]:
    """The lines of a text of others with their ends, one after the other.

    Raises:
        UvlpError: it is no such text (:func:`check_text`, at any length), or a line is too long to be held.
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


def impostor(beginning: bytes, *, text: bool = False) -> Impostor | None:
    """What a file is that begins so and should be an image, weights or an archive; None for all else.

    Args:
        beginning: its first ``BEGINNING_BYTES`` bytes.
        text: it should be JSON or another text, so that only pointers and pages are told.
    """
    start = beginning.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    found = next((kind for known, kind in _BEGINNINGS if start.startswith(known)), None)
    if found is _XML:
        found = _DRAWING if b"<svg" in start else _PAGE if b"<html" in start else _XML
    if (text and found in (_JSON, _XML)) or b"\0" in beginning:
        return None  # the length in front of weights may begin as JSON does
    return found


def begins(path: Path) -> bytes:
    """The first bytes of a regular file; none where it cannot be read.

    Raises:
        UvlpError: it is no regular file.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            return file.read(BEGINNING_BYTES)
    except OSError:
        return b""
