"""Atomic writing of files and folders: under a temporary name, flushed to the disk, renamed last.

A file under its final name is always complete, whatever interrupted the writer.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files.sharing import follow_umask


@contextlib.contextmanager
def complete_file(path: Path, *, flushed: bool = True) -> Iterator[Path]:
    """Yield a new temporary file beside ``path``, which replaces it at the end of the block.

    If several processes do so at once, the last file wins. After an error, ``path`` is unchanged.

    Args:
        flushed: the file survives a power cut; not needed for what can be recomputed quickly.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        # mkstemp creates private files; a shared store needs the umask's permissions.
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
    """Write a text file in UTF-8 atomically; see :func:`complete_file`."""
    with complete_file(path, flushed=flushed) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def keep_folder(finished: Path, target: Path) -> None:
    """Flush a finished folder with its contents and move it to ``target``, which must not exist.

    Raises:
        OSError: it cannot be written or moved.
    """
    follow_umask(finished)
    for path in [*finished.rglob("*"), finished]:
        flush(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(finished, target)
    flush(target.parent)


def check_renaming(folder: Path) -> None:
    """Test that folders with files can be created and renamed in ``folder``.

    Raises:
        UvlpError: its file system cannot rename them.
        OSError: it cannot be written.
    """
    probe = Path(tempfile.mkdtemp(dir=folder, prefix="probe-"))
    renamed = probe.with_name(f"{probe.name}-renamed")
    try:
        (probe / "file").write_bytes(b"uvlp")
        try:
            os.rename(probe, renamed)
        except OSError as error:
            fix = "choose a folder on another file system"
            what = f"the file system cannot rename folders: {error.strerror}"
            raise UvlpError(what, got=str(folder), fix=fix) from error
    finally:
        for each in (probe, renamed):
            shutil.rmtree(each, ignore_errors=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a finished file a second name, or copy it on a file system without hard links.

    Raises:
        OSError: it cannot be written.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def flush(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
