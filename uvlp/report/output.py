"""Where pages and figures are written. Only files of an earlier call are replaced; they carry a mark."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files.os_errors import explain_os_errors
from uvlp.core.files.paths import expand_home, nearest_existing
from uvlp.core.files.writing import complete_file

MARK = "made by uvlp report"
"""In every file that is written, so that the next call may replace it."""
FIX = "make it writable, free some space, or choose another path"


def target(option: str, name: str, suffixes: tuple[str, ...]) -> Path:
    """Return the path of a file to write, checked before anything is computed.

    Raises:
        UvlpError: another suffix; a folder, or somebody else's file, is there; or it cannot be written.
    """
    path = expand_home(name)
    if path.suffix.lower() not in suffixes:
        raise UvlpError(f"{option}: the name needs another ending", got=name, allowed=", ".join(suffixes))
    check(path)
    return path


def check(path: Path) -> None:
    """Refuse a path that cannot be written, or holds what no earlier call wrote.

    Raises:
        UvlpError: see above.
    """
    if path.is_dir():
        raise UvlpError("a folder is where a file would be written", got=str(path), fix="give another path")
    if os.path.lexists(path) and not _is_ours(path):
        fix = "move it away, or give another path"
        raise UvlpError("a file that this command did not write is there", got=str(path), fix=fix)
    folder = nearest_existing(path.parent)
    with explain_os_errors(folder, "cannot write there", FIX), tempfile.TemporaryFile(dir=folder):
        pass


def _is_ours(path: Path) -> bool:
    try:
        return MARK.encode() in path.read_bytes()
    except OSError:
        return False


def write(path: Path, content: bytes) -> None:
    """Write a file atomically.

    Raises:
        UvlpError: it cannot be written; what was there is unchanged.
    """
    with (
        explain_os_errors(path.parent, "cannot write there", FIX),
        complete_file(path) as unfinished,
    ):
        unfinished.write_bytes(content)


def marked(content: bytes, form: str) -> bytes:
    """Return a figure in one of `charts.FORMATS` with the mark."""
    if form == "svg":
        return content.replace(b">", f"><desc>{MARK}</desc>".encode(), 1)
    if form == "pdf":
        return content + f"\n%{MARK}\n".encode()
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    facts, buffer = PngInfo(), io.BytesIO()
    facts.add_text("Software", MARK)
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        image.save(buffer, "PNG", pnginfo=facts)
    return buffer.getvalue()
