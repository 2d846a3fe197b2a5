"""Did you mean? Folders around a path that hold what was looked for in it: one too many, one too few."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from uvlp.core.wording import first_few
from uvlp.datasets.files.folder_remarks import is_leftover

UP, DOWN, MOST = 2, 3, 200
"""Levels above and below that are looked at, and folders of one level, so that no search takes long."""

Fits = Callable[[Path], bool]


def nearby(path: Path, fits: Fits) -> list[Path]:
    """Folders that fit: the nearest above, else all of the nearest level below that has any."""
    path = Path(os.path.abspath(path))
    above = next((folder for folder in path.parents[:UP] if fits(folder)), None)
    if above is not None:
        return [above]
    level = [path]
    for _ in range(DOWN):
        level = [folder / name for folder in level for name in folder_names(folder)][:MOST]
        if found := [folder for folder in level if fits(folder)]:
            return found
    return []


def did_you_mean(folders: Sequence[Path], form: str = "{}") -> str:
    """The question for a message, "" without folders; ``form`` is how one is given, e.g. ``folder:{}``."""
    shown = [form.format(show(folder)) for folder in folders]
    if len(shown) < 2:
        return f"did you mean {shown[0]}?" if shown else ""
    return f"did you mean one of {first_few(shown)}?"


def show(path: Path) -> str:
    """A path as one would write it here: relative where it lies below the current folder."""
    here = Path.cwd()
    path = Path(os.path.abspath(path))
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def folder_names(path: Path) -> list[str]:
    """Names of the folders in one, none where it cannot be read: this is advice, not a check."""
    return [entry.name for entry in _entries(path) if entry.is_dir() and not is_leftover(entry.name, True)]


def file_names(path: Path) -> list[str]:
    """Names of the files in a folder, in the same way."""
    return [entry.name for entry in _entries(path) if entry.is_file() and not is_leftover(entry.name, False)]


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted((entry for entry in entries if entry.name.isprintable()), key=lambda e: e.name)
    except OSError:
        return []
