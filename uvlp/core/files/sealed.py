"""What an interrupted run leaves for the next one: believed only with the hash of what was written.

A sealed file holds a JSON value behind its SHA-256 and the name of what it belongs to, so that neither a
flipped bit nor a file of another run is taken up. Large binary files lie beside it: their hashes are the
value. Files that an earlier version left without a hash count as damaged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uvlp.core.hashing import read_checked, write_checked


def write(path: Path, of: str, value: Any) -> None:
    """Write a JSON value; the file is on the disk, whole, when it has its name.

    Args:
        of: what it belongs to, the same words when it is read.

    Raises:
        OSError: it cannot be written.
    """
    write_checked(path, {"of": of, "value": value}, flushed=True)


def read(path: Path, of: str) -> Any:
    """The value that :func:`write` kept; None if there is none, or it is another one or of something else."""
    found = read_checked(path)
    return found.get("value") if isinstance(found, dict) and found.get("of") == of else None
