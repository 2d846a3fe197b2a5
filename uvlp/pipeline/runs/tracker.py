"""What a tracker, a file in `trackers/`, does: ``open_tracker(folder, offline)`` returns a `Tracker`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PROJECT = "uvlp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A run of a tracker: one artifact that is being made.

    Attributes:
        id: hexadecimal; an interrupted run that resumes has the same one.
        resumed: whether it is one.
        title: of the artifact.
        group: name of the run of UVLP, e.g. ``"digits-ipc10"``.
        stage: what makes the artifact.
        config: its key and facts, and the recipe, as plain values.
    """

    id: str
    resumed: bool
    title: str
    group: str
    stage: str
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Title and id, a valid name of a folder below that of its group."""
        words = "".join(char if char.isalnum() or char in "+-." else " " for char in self.title)
        return f"{'-'.join(words.split())}-{self.id}"


class TrackedRun(Protocol):
    """A run of a tracker, filled step after step."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add values to curves; steps do not decrease."""

    def picture(self, name: str, path: Path, step: int) -> None:
        """Add a PNG file, at the last step of the curves."""

    def close(self) -> None:
        """Complete the run; return when everything is written or sent."""


class Tracker(Protocol):
    """A tracker that can be used.

    Attributes:
        where: where runs are, and how to look at them, for the user.
    """

    where: str

    def begin(self, run: Described) -> TrackedRun:
        """Begin a run, or continue one."""
