"""The one way to write a file or a folder that counts: under another name, flushed to the disk, renamed last.

Whoever finds it under its own name finds all of it, whatever stopped the writer.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from uvlp.core.files.sharing import follow_umask


@contextlib.contextmanager
def complete_file(path: Path, *, flushed: bool = True) -> Iterator[Path]:
    """Give a new file beside ``path`` to fill, which takes its place at the end of the block.

    Several processes may do so at once: the last one's file stays. After an error everything is as before.

    Args:
        flushed: the file outlives a power cut; not needed for what is made again in no time.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        # mkstemp's file is private to its owner; a shared store is not.
        follow_umask(unfinished)
        if flushed:
            flush(unfinished)
        os.replace(unfinished, path)
        if flushed:
            flush(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def write_utf8(path: Path, text: str, *, flushed: bool = True) -> None:
    """Write a file in UTF-8 as :func:`complete_file` does."""
    with complete_file(path, flushed=flushed) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def keep_folder(made: Path, target: Path) -> None:
    """Flush a finished folder with all that is in it, and move it to ``target``, where nothing stands.

    Raises:
        OSError: it cannot be written or moved.
    """
    follow_umask(made)
    for path in [*made.rglob("*"), made]:
        flush(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(made, target)
    flush(target.parent)


def flush(path: Path) -> None:
    """Return when a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
