"""Lines of a text file: they end at a line feed alone.

``str.splitlines`` also breaks at U+2028, U+0085, form feeds and others, which a caption, a prompt or
a file name may hold.
"""

from __future__ import annotations

from pathlib import Path

from uvlp.core.files.foreign_files import check_text


def split_lines(text: str) -> list[str]:
    """The lines of ``text`` without their ends; a carriage return before the line feed belongs to the end."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """The lines of a file.

    Args:
        encoding: utf-8, or utf-8-sig where a byte order mark may stand in front.

    Raises:
        UvlpError: it is no text file (`foreign_files.check_text`).
        OSError: it cannot be read.
        UnicodeDecodeError: it is not in this encoding.
    """
    check_text(path, "text file")
    return split_lines(path.read_bytes().decode(encoding))
