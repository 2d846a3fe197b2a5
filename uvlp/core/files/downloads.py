"""Description of downloads, announced before a run starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One download: an archive of a dataset, or the files of a published model.

    Attributes:
        what: title, e.g. ``"Stable Diffusion 1.5"``.
        urls: sources.
        bytes: bytes still to be downloaded; 0: unknown until it starts.
        disk_bytes: disk space needed during preparation; 0: unknown.
        note: one line shown beside it, e.g. how it is verified; may be empty.
    """

    what: str
    urls: tuple[str, ...]
    bytes: int
    disk_bytes: int
    note: str = ""
