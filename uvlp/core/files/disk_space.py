"""Checks of free disk space, done before the work starts."""

from __future__ import annotations

import os
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.wording import byte_size


def check_space(what: str, folder: Path, needed: int, fix: str) -> None:
    """Refuse to start work whose output does not fit on the disk.

    Args:
        what: what is to be written, e.g. "the features".
        folder: an existing folder on the disk.
        needed: bytes needed.
        fix: what to do about it.

    Raises:
        UvlpError: fewer bytes are free.
    """
    free = free_bytes(folder)
    if free < needed:
        raise too_small(what, folder, needed, free, fix)


def free_bytes(folder: Path) -> int:
    """Return the bytes that this user can still write; the reserved blocks count for root only."""
    status = os.statvfs(folder)
    return status.f_frsize * (status.f_bfree if os.geteuid() == 0 else status.f_bavail)


def too_small(what: str, folder: Path, needed: int, free: int, fix: str) -> UvlpError:
    """Return the error for a disk with ``free`` bytes of ``needed``; see :func:`check_space`."""
    return UvlpError(
        f"the disk is too small for {what}",
        got=f"{byte_size(free) if free else 'nothing'} free in {folder}",
        allowed=f"{byte_size(needed)} or more",
        fix=fix,
    )
