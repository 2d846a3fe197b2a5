"""What is still to be transferred before a run can start, announced before it begins."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One transfer: an archive of a dataset, or the files of a published model.

    Attributes:
        what: what it is, in words, e.g. ``"Stable Diffusion 1.5"``.
        urls: where it comes from.
        bytes: bytes that are still to be transferred; 0: nobody knows before it begins.
        disk_bytes: bytes that it will take on the disk while it is prepared; 0: unknown.
        note: one line to be read beside it, e.g. how it is checked; may be empty.
    """

    what: str
    urls: tuple[str, ...]
    bytes: int
    disk_bytes: int
    note: str = ""
