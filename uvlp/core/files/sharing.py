"""Permissions of files in shared folders: those that the user's umask gives, whatever a library set."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def umask() -> int:
    """Return the umask of this process."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def follow_umask(path: Path) -> None:
    """Give a file, or all files below a folder, the permissions of the umask; safetensors sets 0600.

    A setgid folder determines the group. Files of other users stay as they are.
    """
    bits = 0o666 & ~umask()
    for each in path.rglob("*") if path.is_dir() else (path,):
        if each.is_file() and not each.is_symlink() and each.stat().st_mode & 0o777 != bits:
            with contextlib.suppress(PermissionError):
                each.chmod(bits)
