"""Whether a disk holds what is about to be written, asked before the work and not in its middle."""

from __future__ import annotations

import os
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.wording import byte_size


def check_space(what: str, folder: Path, needed: int, fix: str) -> None:
    """Refuse to begin what cannot end.

    Args:
        what: is to be written, e.g. "the features".
        folder: that exists, on the disk that is asked.
        needed: bytes.
        fix: what to do about it.

    Raises:
        UvlpError: fewer are free.
    """
    free = free_bytes(folder)
    if free < needed:
        raise too_small(what, folder, needed, free, fix)


def free_bytes(folder: Path) -> int:
    """What this user can still write; the administrator's reserve is root's."""
    status = os.statvfs(folder)
    return status.f_frsize * (status.f_bfree if os.geteuid() == 0 else status.f_bavail)


def too_small(what: str, folder: Path, needed: int, free: int, fix: str) -> UvlpError:
    """The error for a disk with ``free`` bytes, of ``needed``; see :func:`check_space`."""
    return UvlpError(
        f"the disk is too small for {what}",
        got=f"{byte_size(free) if free else 'nothing'} free in {folder}",
        allowed=f"{byte_size(needed)} or more",
        fix=fix,
    )
