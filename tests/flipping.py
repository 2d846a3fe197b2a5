"""Flip one bit of a file, like a failing disk."""

from __future__ import annotations

from pathlib import Path


def flip(path: Path, share: float = 0.5) -> None:
    """Change one bit at ``share`` of a file's length."""
    content = bytearray(path.read_bytes())
    content[min(int(share * len(content)), len(content) - 1)] ^= 0x10
    path.write_bytes(content)
