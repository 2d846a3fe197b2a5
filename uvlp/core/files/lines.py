"""Lines of a text file, split at line feeds only.

``str.splitlines`` also splits at U+2028, U+0085, form feeds and others, which a caption, a prompt or
a file name may contain.
"""

from __future__ import annotations

from pathlib import Path

from uvlp.core.files.foreign_files import check_text


def split_lines(text: str) -> list[str]:
    """Split ``text`` into lines without line ends, which are LF or CR LF."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """Read the lines of a file.

    Args:
        encoding: utf-8, or utf-8-sig to allow a byte order mark.

    Raises:
        UvlpError: it is not a text file (`foreign_files.check_text`).
        OSError: it cannot be read.
        UnicodeDecodeError: it is not in this encoding.
    """
    check_text(path, "text file")
    return split_lines(path.read_bytes().decode(encoding))
