"""What the operating system refuses, in one clear line: a full disk, a missing right, a path that cannot be.

Libraries wrap these errors in classes of their own, often without a number, so that a full disk is looked for
among everything that led to an error, by its number and by the words that are known.
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
NO_MEMORY = re.compile(r"DefaultCPUAllocator|can't allocate memory|not enough memory")  # torch's words
FULL_WORDS = re.compile(
    r"no space left|disk quota exceeded|file too large|os error (28|122|27)\b"
    r"|file write failed|unexpected pos \d+ vs \d+"  # torch's writer of zip files
    r"|\d+ requested and \d+ written"  # numpy's writer of arrays
)
NOT_WRITABLE = (
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST),
    *(errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
)

FREE_SPACE = "free some space where it writes (a disk, or standard output); everything finished is kept"
ADVICE: Mapping[int, str] = {
    errno.ENOENT: "check the path, or name another",
    errno.ENOTDIR: "a file stands where a folder is needed: check the path, or name another",
    errno.EISDIR: "a folder stands where a file is needed: check the path, or name another",
    errno.EEXIST: "move away what stands there, or name another place",
    errno.ENOTEMPTY: "move away what stands there, or name another place",
    errno.EACCES: "give yourself the right to it, or name another place",
    errno.EPERM: "give yourself the right to it, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.ELOOP: "a link leads back to itself: remove it, or name another place",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.ENOSPC: FREE_SPACE,
    errno.EDQUOT: FREE_SPACE,
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or name a place that takes large files",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs: the machine has too many files open",
    errno.ENOMEM: "free some memory, or run with --workers 1",
    errno.EIO: "check the disk; what is finished is kept",
    errno.ESTALE: "check the network's disk; what is finished is kept",
    errno.ENXIO: "name a plain file",
    errno.ENODEV: "name a plain file",
    errno.EBUSY: "end what uses it, and run the command again",
    errno.ETXTBSY: "end what uses it, and run the command again",
}


def leading_to(error: BaseException) -> Iterator[BaseException]:
    """The error, and everything it was raised from or in the handling of."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is not None and not any(one is other for other in seen):
            seen.append(one)
            yield one
            waiting += [one.__cause__, one.__context__]


def is_full(error: BaseException) -> bool:
    """Whether a disk had no space left, a quota was used up, or a file grew beyond its limit."""
    return any(_is_full(one) for one in leading_to(error))


def _is_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) in FULL or bool(FULL_WORDS.search(str(error).lower()))


@contextlib.contextmanager
def explain_os_errors(root: Path, what: str, fix: str) -> Iterator[None]:
    """Turn the operating system's refusals to write below ``root`` into one clear line.

    Args:
        what: what could not be done, e.g. "cannot write the store"; the reason is put behind it.
        fix: what to do about it.

    Raises:
        UvlpError: the disk is full, or something may not or cannot be written.
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
    """Why the disk refused, or None if the error is of another kind."""
    number = getattr(error, "errno", None)
    inside = str(getattr(error, "filename", None) or root).startswith(str(root))
    if inside and number in NOT_WRITABLE:
        return os.strerror(number)
    full = next((one for one in leading_to(error) if _is_full(one)), None)
    if full is not None and getattr(full, "errno", None) in FULL:
        return os.strerror(full.errno)  # type: ignore[attr-defined]
    # Some say nothing of it at all.
    return os.strerror(errno.ENOSPC) if full or (not number and _is_almost_full(root)) else None


def _is_almost_full(root: Path) -> bool:
    for place in (root, *root.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free < ALMOST_FULL_BYTES
    return False


def explained(error: BaseException) -> UvlpError | None:
    """The line for an error that nobody nearer to it explained; None if it is no refusal of the system.

    A path that cannot be read or written is the user's or the machine's affair wherever it is met.
    """
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        fix = "run with --workers 1, smaller batches or smaller models, or free some memory"
        return UvlpError("the machine's memory is full", fix=fix)
    chain = list(leading_to(error))
    if any(isinstance(one, FileNotFoundError) for one in chain) and _current_folder_is_gone():
        return UvlpError("the current folder is gone", fix="change to one that is there")
    full = next((one for one in chain if _is_full(one)), None)
    refused = error if full is None else full
    number: int = getattr(refused, "errno", None) or 0
    if full is not None and number not in FULL:
        number = errno.ENOSPC
    if number not in ADVICE:
        return None
    reason = getattr(refused, "strerror", None) or os.strerror(number)
    what = f"a file or folder cannot be used: {reason}"
    return UvlpError(what, got=getattr(refused, "filename", None), fix=ADVICE[number])


def _current_folder_is_gone() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False
