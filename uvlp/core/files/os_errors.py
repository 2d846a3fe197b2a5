"""Errors of the operating system in one clear line: a full disk, missing permissions, an impossible path.

Libraries wrap these errors in their own classes, often without errno, so a full disk is searched for in the
entire chain of causes, by errno and by known message texts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from uvlp.core.errors import UvlpError

ALMOST_FULL_BYTES = 1_000_000
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_MEMORY = re.compile(r"DefaultCPUAllocator|can't allocate memory|not enough memory")  # torch's messages
FULL_WORDS = re.compile(
    r"no space left|disk quota exceeded|file too large|os error (28|122|27)\b"
    r"|file write failed|unexpected pos \d+ vs \d+"  # torch's writer of zip files
    r"|\d+ requested and \d+ written"  # numpy's writer of arrays
)
NOT_WRITABLE = (
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST),
    *(errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
)

FREE_SPACE = "free some space where it writes (a disk, or standard output); finished artifacts are kept"
FIXES: Mapping[int, str] = {
    errno.ENOENT: "check the path, or choose another",
    errno.ENOTDIR: "a file is where a folder is needed: check the path, or choose another",
    errno.EISDIR: "a folder is where a file is needed: check the path, or choose another",
    errno.EEXIST: "move away what is there, or choose another path",
    errno.ENOTEMPTY: "move away what is there, or choose another path",
    errno.EACCES: "grant yourself permission, or choose another path",
    errno.EPERM: "grant yourself permission, or choose another path",
    errno.EROFS: "choose a writable path",
    errno.ELOOP: "a symbolic link points back to itself: remove it, or choose another path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ENOSPC: FREE_SPACE,
    errno.EDQUOT: FREE_SPACE,
    errno.EFBIG: "raise the file size limit (ulimit -f), or choose a file system that supports large files",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs: the machine has too many files open",
    errno.ENOMEM: "free some memory, or run with --workers 1",
    errno.EIO: "check the disk; finished artifacts are kept",
    errno.ESTALE: "check the network file system; finished artifacts are kept",
    errno.ENOTSUP: "choose a folder on another file system",
    errno.ENOSYS: "choose a folder on another file system",
    errno.ENXIO: "choose a regular file",
    errno.ENODEV: "choose a regular file",
    errno.EBUSY: "close the program that uses it, and re-run the command",
    errno.ETXTBSY: "close the program that uses it, and re-run the command",
}


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all its causes and contexts."""
    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        current = queue.pop(0)
        if current is not None and not any(current is other for other in seen):
            seen.append(current)
            yield current
            queue += [current.__cause__, current.__context__]


def is_full(error: BaseException) -> bool:
    """Return whether a disk was full, a quota was used up, or a file exceeded a size limit."""
    return any(_is_full(one) for one in causes(error))


def _is_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) in FULL or bool(FULL_WORDS.search(str(error).lower()))


@contextlib.contextmanager
def explain_os_errors(root: Path, what: str, fix: str) -> Iterator[None]:
    """Turn errors of the operating system when writing below ``root`` into one clear line.

    Args:
        what: what could not be done, e.g. "cannot write the store"; the reason is appended.
        fix: what to do about it.

    Raises:
        UvlpError: the disk is full, or something cannot be written.
    """
    try:
        yield
    except UvlpError:
        raise
    except Exception as error:
        reason = _refusal(error, root)
        if reason is None:
            raise
        raise UvlpError(f"{what}: {reason}", got=str(root), fix=fix) from error


def _refusal(error: Exception, root: Path) -> str | None:
    """Return why writing failed, or None for another kind of error."""
    number = getattr(error, "errno", None)
    inside = str(getattr(error, "filename", None) or root).startswith(str(root))
    if inside and number in NOT_WRITABLE:
        return os.strerror(number)
    full = next((one for one in causes(error) if _is_full(one)), None)
    if full is not None and getattr(full, "errno", None) in FULL:
        return os.strerror(full.errno)  # type: ignore[attr-defined]
    # Some libraries' errors do not mention a full disk at all.
    return os.strerror(errno.ENOSPC) if full or (not number and _is_almost_full(root)) else None


def _is_almost_full(root: Path) -> bool:
    for folder in (root, *root.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(folder).free < ALMOST_FULL_BYTES
    return False


def as_uvlp_error(error: BaseException) -> UvlpError | None:
    """Convert an error of the operating system that was not handled elsewhere; None for other errors.

    A path that cannot be read or written is a problem of the input or the machine, wherever it occurs.
    """
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        fix = "run with --workers 1, smaller batches or smaller models, or free some memory"
        return UvlpError("out of memory", fix=fix)
    chain = list(causes(error))
    if any(isinstance(one, FileNotFoundError) for one in chain) and _current_folder_is_gone():
        return UvlpError("the current folder no longer exists", fix="change to an existing one")
    full = next((one for one in chain if _is_full(one)), None)
    cause = error if full is None else full
    number: int = getattr(cause, "errno", None) or 0
    if full is not None and number not in FULL:
        number = errno.ENOSPC
    if number not in FIXES:
        return None
    reason = getattr(cause, "strerror", None) or os.strerror(number)
    what = f"a file or folder cannot be used: {reason}"
    return UvlpError(what, got=getattr(cause, "filename", None), fix=FIXES[number])


def _current_folder_is_gone() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False
