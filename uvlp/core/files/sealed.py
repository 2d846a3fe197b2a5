"""State that an interrupted run leaves for the next one, trusted only if its hash matches.

A sealed file contains a JSON value, its SHA-256 and the name of what it belongs to, so that neither a
flipped bit nor a file of another run is used. For large binary files beside it, the value contains their
hashes. Files that an earlier version wrote without a hash count as damaged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uvlp.core.hashing import read_checked, write_checked


def write(path: Path, of: str, value: Any) -> None:
    """Write a JSON value atomically and flush it to the disk.

    Args:
        of: name of what it belongs to, to be given again when it is read.

    Raises:
        OSError: it cannot be written.
    """
    write_checked(path, {"of": of, "value": value}, flushed=True)


def read(path: Path, of: str) -> Any:
    """Return the value that :func:`write` wrote; None if missing, damaged or of something else."""
    content = read_checked(path)
    return content.get("value") if isinstance(content, dict) and content.get("of") == of else None
