"""Suggest folders near a path, for paths that are one or more levels too high or too low."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from uvlp.core.wording import first_few
from uvlp.datasets.files.folder_remarks import is_leftover

UP, DOWN, MOST = 2, 3, 200
"""Levels searched above and below, and folders searched per level, to keep the search short."""

Fits = Callable[[Path], bool]


def nearby(path: Path, fits: Fits) -> list[Path]:
    """Folders that fit: the nearest parent, else all those of the nearest level below."""
    path = Path(os.path.abspath(path))
    above = next((folder for folder in path.parents[:UP] if fits(folder)), None)
    if above is not None:
        return [above]
    level = [path]
    for _ in range(DOWN):
        level = [folder / name for folder in level for name in folder_names(folder)][:MOST]
        if matches := [folder for folder in level if fits(folder)]:
            return matches
    return []


def did_you_mean(folders: Sequence[Path], form: str = "{}") -> str:
    """A suggestion for a message, "" without folders; ``form`` formats each, e.g. ``folder:{}``."""
    shown = [form.format(show(folder)) for folder in folders]
    if len(shown) < 2:
        return f"did you mean {shown[0]}?" if shown else ""
    return f"did you mean one of {first_few(shown)}?"


def show(path: Path) -> str:
    """A path for messages: relative if it is below the current folder."""
    current = Path.cwd()
    path = Path(os.path.abspath(path))
    return str(path.relative_to(current)) if path.is_relative_to(current) else str(path)


def folder_names(path: Path) -> list[str]:
    """Names of the folders in a folder; none if it cannot be read, as they are only used for suggestions."""
    return [entry.name for entry in _entries(path) if entry.is_dir() and not is_leftover(entry.name, True)]


def file_names(path: Path) -> list[str]:
    """Names of the files in a folder; none if it cannot be read."""
    return [entry.name for entry in _entries(path) if entry.is_file() and not is_leftover(entry.name, False)]


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted((entry for entry in entries if entry.name.isprintable()), key=lambda e: e.name)
    except OSError:
        return []
