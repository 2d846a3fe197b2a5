"""A file or folder that a setting gives as a published model."""

from __future__ import annotations

import fnmatch
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import LONGEST_CONFIGURATION_BYTES, check_text
from uvlp.models.published.layout import LAYOUTS

PIPELINE_PARTS = {"diffusion": "a pipeline", "autoencoder": "a pipeline"}
MOST_FILES = 5_000


class Candidate:
    """The files of a folder, two levels deep."""

    def __init__(self, part: str, path: Path) -> None:
        self.part, self.path = part, path
        title = PIPELINE_PARTS.get(part, LAYOUTS[part].title)
        self.expected = "a CLIP for open_clip" if part == "clip" else title

    @cached_property
    def files(self) -> list[str]:
        """Files in the folder and its subfolders, top level first, as relative paths."""
        return list(itertools.islice(self._walk(), MOST_FILES))

    def _walk(self) -> Iterator[str]:
        with os.scandir(self.path) as entries:
            top = sorted(entries, key=lambda entry: (entry.is_dir(), entry.name))
        for entry in top:
            yield entry.name
            if entry.is_dir():
                yield from (f"{entry.name}/{name}" for name in sorted(os.listdir(entry.path)))

    @cached_property
    def folders(self) -> list[str]:
        """Names of the subfolders."""
        return sorted(entry.name for entry in os.scandir(self.path) if entry.is_dir())

    def has(self, *patterns: str, top: bool = False) -> str:
        """Return the first file that matches a pattern; empty if none."""
        names = [name for name in self.files if not top or "/" not in name]
        return next((name for one in patterns for name in names if fnmatch.fnmatchcase(name, one)), "")

    def config(self, name: str) -> Mapping[str, Any]:
        """Read a configuration; empty if unreadable."""
        try:
            check_text(self.path / name, "configuration", LONGEST_CONFIGURATION_BYTES)
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (UvlpError, OSError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def refuse(self, kind: str, fix: str | None, got: str = "") -> UvlpError:
        """Return the error for a file or folder that is ``kind``."""
        subject = "this is" if self.path.is_file() else "this folder contains"
        return UvlpError(f"{subject} {kind}, not {self.expected}", got=str(self.path / got), fix=fix)
