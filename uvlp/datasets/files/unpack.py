"""Unpack an untrusted tar or zip file: only regular files, only at paths inside the target."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import shutil
import stat
import sys
import tarfile
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.wording import byte_size, first_few

MARKER = ".uvlp-unpacking"
"""Marks a temporary folder that only contains an archive being unpacked."""
BLOCK_BYTES = 1 << 20
HEADER_BYTES = 512  # counted for every file, even an empty one, as in a tar file
LARGEST_HEADER_BYTES = 1 << 20
"""Limit of a tar member's extended header (long name, times, attributes)."""
MOST_HEADERS = 100
"""Limit of consecutive extended headers; tarfile reads them recursively."""
EXTENDED = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
NAMES_CLASH = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


def unpack(path: Path, root: Path, folder: str, progress: Progress, *, at_most: int = sys.maxsize) -> None:
    """Unpack a tar or zip file with the top-level ``folder`` into ``root``.

    Only regular files are written, at paths inside; a link inside the archive becomes a copy.

    Args:
        at_most: limit of the total size in bytes.

    Raises:
        UvlpError: a path or link that leaves the archive, a device, a damaged file, unexpected content, or
            too much of it.
    """
    with _unpacked(path, root / f".{folder}.unpacking", progress, at_most, links=True) as temporary:
        top_level = sorted(entry.name for entry in temporary.iterdir() if entry.name != MARKER)
        if not (temporary / folder).is_dir():
            raise UvlpError(f"{path} does not contain the folder {folder}", got=first_few(top_level))
        os.rename(temporary / folder, root / folder)


def unpack_all(path: Path, target: Path, progress: Progress, *, at_most: int) -> None:
    """Unpack everything in a tar or zip file into the new folder ``target``; there may be no link in it.

    Args:
        at_most: limit of the total size in bytes.

    Raises:
        UvlpError: see `unpack`.
    """
    temporary = target.parent / f".{target.name}.unpacking"
    with _unpacked(path, temporary, progress, at_most, links=False):
        (temporary / MARKER).unlink()
        os.rename(temporary, target)


@contextlib.contextmanager
def _unpacked(
    path: Path, temporary: Path, progress: Progress, at_most: int, *, links: bool
) -> Iterator[Path]:
    """Context with the files of an archive in ``temporary``, which is deleted afterwards."""
    _remove_leftover(temporary)
    temporary.mkdir()
    (temporary / MARKER).touch()
    try:
        budget = _Budget(path, at_most)
        with _explain_damage(path), contextlib.closing(_members(path, budget, links)) as members:
            for member in progress.track(members, f"unpack {path.name}, files"):
                budget.take(HEADER_BYTES)
                with _new_file(path, temporary, member.name) as file:
                    while block := member.content.read(BLOCK_BYTES):
                        budget.take(len(block))
                        file.write(block)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_archive(path: Path) -> bool:
    """Return whether a file starts like a tar or zip file; damage is reported by :func:`unpack`.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with _explain_damage(path):
            if zipfile.is_zipfile(path):
                return True
            with tarfile.open(path, "r:*", tarinfo=_bounded(path, _Budget(path, sys.maxsize))):
                return True
    except UvlpError as error:
        return not isinstance(error.__cause__, tarfile.TarError)


def _remove_leftover(temporary: Path) -> None:
    """Delete the leftovers of a killed run, but no other folder of that name."""
    if temporary.exists() and not (temporary / MARKER).is_file():
        raise UvlpError(
            "the temporary folder for unpacking already exists", got=str(temporary), fix="move it elsewhere"
        )
    shutil.rmtree(temporary, ignore_errors=True)


class _Budget:
    """Bytes that an archive may still unpack to: a small archive can expand to more than any disk holds."""

    def __init__(self, path: Path, at_most: int) -> None:
        self._path, self._at_most, self._left = path, at_most, at_most

    def take(self, count: int) -> None:
        self._left -= count
        self.expect(0)

    def expect(self, count: int) -> None:
        """Raise an error if ``count`` more bytes exceed the limit."""
        if count > self._left:
            raise UvlpError(
                f"{self._path} unpacks to far more data than expected",
                got=f"{byte_size(self._path.stat().st_size)} with more than {byte_size(self._at_most)}",
                allowed=f"at most {byte_size(self._at_most)}",
                fix="do not use it; delete the file and fetch again",
            )


class _Member(NamedTuple):
    name: str
    content: IO[bytes]


def _members(path: Path, budget: _Budget, links: bool) -> Generator[_Member, None, None]:
    """The regular files of an archive, and with ``links`` copies of those that links inside it name."""
    yield from _zip_members(path, budget) if zipfile.is_zipfile(path) else _tar_members(path, budget, links)


@contextlib.contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    """Turn the library's exceptions on damaged archives, which vary, into one error; OS errors propagate."""
    try:
        yield
    except (UvlpError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        got = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UvlpError(f"{path} is damaged", got=got, fix="delete the file and fetch again") from error


def _new_file(path: Path, folder: Path, name: str) -> IO[bytes]:
    """Create a file below ``folder``.

    Raises:
        UvlpError: a file and a folder of the archive have the same name, or a name is too long.
    """
    target = folder / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("wb")
    except OSError as error:
        if error.errno in NAMES_CLASH:
            raise _refused(path, name[:200], os.strerror(error.errno).lower()) from error
        raise


def _bounded(path: Path, budget: _Budget) -> type[tarfile.TarInfo]:
    """A `TarInfo` that refuses huge headers, which would fill the memory, and sparse files.

    It overrides the methods that `tarfile` calls for each type of member.
    """
    in_a_row = 0

    class Bounded(tarfile.TarInfo):
        def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
            nonlocal in_a_row
            in_a_row = in_a_row + 1 if self.type in EXTENDED else 0
            if self.type in EXTENDED:
                if self.size > LARGEST_HEADER_BYTES:
                    raise _too_long(path, byte_size(self.size), f"at most {byte_size(LARGEST_HEADER_BYTES)}")
                if in_a_row > MOST_HEADERS:
                    got = f"more than {MOST_HEADERS} in a row"
                    raise _too_long(path, got, f"at most {MOST_HEADERS} before a member")
                budget.take(HEADER_BYTES + self.size)
            elif self.type == tarfile.GNUTYPE_SPARSE:
                raise _refused(path, self.name, "a sparse file")
            member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
            return member

        def _refuse_sparse(self, *_: object) -> None:
            raise _refused(path, self.name, "a sparse file")

        _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse

    return Bounded


def _too_long(path: Path, got: str, allowed: str) -> UvlpError:
    fix = "do not use it; delete the file and fetch again"
    return UvlpError(f"{path} has oversized headers", got=got, allowed=allowed, fix=fix)


def _tar_members(path: Path, budget: _Budget, links: bool) -> Iterator[_Member]:
    with tarfile.open(path, "r:*", tarinfo=_bounded(path, budget)) as archive:
        for member in archive:
            _check_inside(path, member.name, member.name)
            if not links and (member.issym() or member.islnk()):
                raise _refused(path, member.name, "a link")
            if member.issym():
                _check_inside(
                    path, member.name, posixpath.join(posixpath.dirname(member.name), member.linkname)
                )
            elif member.islnk():
                _check_inside(path, member.name, member.linkname)
            if member.isdir():
                continue
            content = (
                archive.extractfile(member) if member.isreg() or member.issym() or member.islnk() else None
            )
            if content is None:
                raise _refused(path, member.name, "neither a file nor a folder")
            budget.expect(member.size)
            with content:
                yield _Member(member.name, content)
        # tarfile does not notice truncation between two members; reading to the end checks gzip's checksum.
        while archive.fileobj is not None and (rest := archive.fileobj.read(BLOCK_BYTES)):
            budget.take(len(rest))


def _zip_members(path: Path, budget: _Budget) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _check_inside(path, member.filename, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _refused(path, member.filename, "a link")
            if not member.is_dir():
                budget.expect(member.file_size)
                with archive.open(member) as content:
                    yield _Member(member.filename, content)


def _check_inside(path: Path, member: str, target: str) -> None:
    inside = PurePosixPath(posixpath.normpath(target))
    if inside.is_absolute() or ".." in inside.parts or ".." in PurePosixPath(member).parts:
        raise _refused(path, member, f"leads to {target}")


def _refused(path: Path, member: str, why: str) -> UvlpError:
    return UvlpError(
        f"{path} contains an entry that is not allowed: {why}",
        got=member,
        allowed="regular files and folders inside the archive",
        fix="do not use it; delete the file and fetch again",
    )
