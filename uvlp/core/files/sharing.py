"""Files that several users share: as open as the user's umask, whatever a library made of them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def umask() -> int:
    """The bits that this process takes from new files."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def follow_umask(path: Path) -> None:
    """Give a file, or all files below a folder, the bits that the umask leaves; safetensors gives 0600.

    The group is that of the folder where its bit for it is set. What belongs to somebody else stays as it is.
    """
    bits = 0o666 & ~umask()
    for each in path.rglob("*") if path.is_dir() else (path,):
        if each.is_file() and not each.is_symlink() and each.stat().st_mode & 0o777 != bits:
            with contextlib.suppress(PermissionError):
                each.chmod(bits)
