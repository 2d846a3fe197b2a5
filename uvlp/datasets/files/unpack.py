"""Unpack a tar or zip file that nobody has to trust: plain files at paths inside, nothing else."""

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

OURS = ".uvlp-unpacking"
"""Marks a folder in which nothing but an archive is being unpacked."""
BLOCK_BYTES = 1 << 20
HEADER_BYTES = 512  # what a file costs even where it is empty, as in a tar file
LARGEST_HEADER_BYTES = 1 << 20
"""Of what a tar file says of one member beside its first 512 bytes: a long name, times, attributes."""
MOST_HEADERS = 100
"""Such headers in a row; each is read while the one before waits."""
EXTENDED = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
NAMES_CLASH = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


def unpack(path: Path, root: Path, folder: str, progress: Progress, *, at_most: int = sys.maxsize) -> None:
    """Unpack a tar or zip file whose content is ``folder`` into ``root``.

    Only plain files are written, at paths inside; a link inside the archive becomes a copy.

    Args:
        at_most: bytes that all files together may have.

    Raises:
        UvlpError: a path or link that leaves the archive, a device, a damaged file, another content, or
            too much of it.
    """
    temporary = root / f".{folder}.unpacking"
    _remove_rest(temporary)
    temporary.mkdir()
    (temporary / OURS).touch()
    try:
        room = _Room(path, at_most)
        with _explain_damage(path), contextlib.closing(_members(path, room)) as members:
            for member in progress.track(members, f"unpack {path.name}, files"):
                room.take(HEADER_BYTES)
                with _new_file(path, temporary, member.name) as file:
                    while block := member.content.read(BLOCK_BYTES):
                        room.take(len(block))
                        file.write(block)
        made = sorted(entry.name for entry in temporary.iterdir() if entry.name != OURS)
        if not (temporary / folder).is_dir():
            raise UvlpError(f"{path} does not hold the folder {folder}", got=first_few(made))
        os.rename(temporary / folder, root / folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_archive(path: Path) -> bool:
    """Whether a file begins as a tar or zip file does; a damaged one is said where it is unpacked.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with _explain_damage(path):
            if zipfile.is_zipfile(path):
                return True
            with tarfile.open(path, "r:*", tarinfo=_bounded(path, _Room(path, sys.maxsize))):
                return True
    except UvlpError as error:
        return not isinstance(error.__cause__, tarfile.TarError)


def _remove_rest(temporary: Path) -> None:
    """Delete what a killed run left, and nothing that has its name by chance."""
    if temporary.exists() and not (temporary / OURS).is_file():
        raise UvlpError(
            "a folder stands where an archive is to be unpacked", got=str(temporary), fix="move it away"
        )
    shutil.rmtree(temporary, ignore_errors=True)


class _Room:
    """Bytes that an archive may still unpack to; a small one can hold more than any disk takes."""

    def __init__(self, path: Path, at_most: int) -> None:
        self._path, self._at_most, self._left = path, at_most, at_most

    def take(self, count: int) -> None:
        self._left -= count
        self.expect(0)

    def expect(self, count: int) -> None:
        """Refuse what is known to come."""
        if count > self._left:
            raise UvlpError(
                f"{self._path} unpacks to far more than its dataset",
                got=f"{byte_size(self._path.stat().st_size)} that hold more than {byte_size(self._at_most)}",
                allowed=f"at most {byte_size(self._at_most)}",
                fix="do not use it; delete the file and fetch again",
            )


class _Member(NamedTuple):
    name: str
    content: IO[bytes]


def _members(path: Path, room: _Room) -> Generator[_Member, None, None]:
    """The plain files of an archive."""
    yield from _of_zip(path, room) if zipfile.is_zipfile(path) else _of_tar(path, room)


@contextlib.contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    """What reads archives raises nearly anything on damaged ones; the system's refusals have a number."""
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
    """A file below ``folder``.

    Raises:
        UvlpError: a file and a folder of the archive have one name, or a name is too long.
    """
    target = folder / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("wb")
    except OSError as error:
        if error.errno in NAMES_CLASH:
            raise _refused(path, name[:200], os.strerror(error.errno).lower()) from error
        raise


def _bounded(path: Path, room: _Room) -> type[tarfile.TarInfo]:
    """What reads the headers of a tar file, but none that fill the memory; data sets need no sparse files.

    The methods are those that `tarfile` calls by the type of a member, for subclasses to override.
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
                    raise _too_long(path, got, f"at most {MOST_HEADERS} in front of a member")
                room.take(HEADER_BYTES + self.size)
            elif self.type == tarfile.GNUTYPE_SPARSE:
                raise _refused(path, self.name, "a sparse file")
            found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
            return found

        def _refuse_sparse(self, *_: object) -> None:
            raise _refused(path, self.name, "a sparse file")

        _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse

    return Bounded


def _too_long(path: Path, got: str, allowed: str) -> UvlpError:
    fix = "do not use it; delete the file and fetch again"
    return UvlpError(f"{path} has headers of no dataset", got=got, allowed=allowed, fix=fix)


def _of_tar(path: Path, room: _Room) -> Iterator[_Member]:
    with tarfile.open(path, "r:*", tarinfo=_bounded(path, room)) as archive:
        for member in archive:
            _check_inside(path, member.name, member.name)
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
            room.expect(member.size)
            with content:
                yield _Member(member.name, content)
        # tarfile takes a file that was cut off between two members for its end; gzip's checksum does not.
        while archive.fileobj is not None and (rest := archive.fileobj.read(BLOCK_BYTES)):
            room.take(len(rest))


def _of_zip(path: Path, room: _Room) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _check_inside(path, member.filename, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _refused(path, member.filename, "a link")
            if not member.is_dir():
                room.expect(member.file_size)
                with archive.open(member) as content:
                    yield _Member(member.filename, content)


def _check_inside(path: Path, member: str, target: str) -> None:
    inside = PurePosixPath(posixpath.normpath(target))
    if inside.is_absolute() or ".." in inside.parts or ".." in PurePosixPath(member).parts:
        raise _refused(path, member, f"leads to {target}")


def _refused(path: Path, member: str, why: str) -> UvlpError:
    return UvlpError(
        f"{path} holds what no dataset may hold, {why}",
        got=member,
        allowed="files and folders below the archive's own",
        fix="do not use it; delete the file and fetch again",
    )
