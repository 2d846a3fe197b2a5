"""Tasks divided among several jobs: each makes some parts of an artifact, and the last one publishes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts.parts.parts import Share
from uvlp.artifacts.task import Task

DIVISIBLE: Mapping[str, Callable[[Task], bool]] = {
    "caption": lambda task: task.published,  # by a model, not from files or measurements
    "embed": lambda task: True,
    "synthesise": lambda task: "prototypes" in task.inputs,  # not images that a method selects
}
"""Stages that make artifacts in parts which do not depend on each other, and for which tasks."""


def divisible(task: Task) -> bool:
    """Return whether several jobs can share the parts of a task."""
    return task.stage in DIVISIBLE and DIVISIBLE[task.stage](task)


@dataclass(frozen=True)
class Piece:
    """A job that makes every ``count``-th part of a task's artifact, from part ``index`` on."""

    task: Task
    index: int
    count: int

    @property
    def key(self) -> str:
        """Unique key of the job."""
        return f"{self.task.key}.{self.name}"

    @property
    def name(self) -> str:
        """Its name among the pieces of the task."""
        return f"part-{self.index + 1}-of-{self.count}"

    @property
    def title(self) -> str:
        """Title shown to the user."""
        return f"{self.task.title}, part {self.index + 1} of {self.count}"

    @property
    def stage(self) -> str:
        """Stage of the task."""
        return self.task.stage

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Inputs of the task."""
        return self.task.inputs

    @property
    def share(self) -> Share:
        """The parts to make."""
        return Share(self.index, self.count, publishes=False)


@dataclass(frozen=True)
class Divided:
    """The job that publishes a task's artifact after its pieces, and makes what they left."""

    task: Task
    count: int

    @property
    def key(self) -> str:
        """Key of the task, for which other jobs wait."""
        return self.task.key

    @property
    def title(self) -> str:
        """Title of the task."""
        return self.task.title

    @property
    def stage(self) -> str:
        """Stage of the task."""
        return self.task.stage

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Inputs of the task, and its pieces."""
        return {**self.task.inputs, **{piece.key: piece for piece in pieces(self.task, self.count)}}


def pieces(task: Task, count: int) -> list[Piece]:
    """Return the jobs that make the parts of a divisible task."""
    return [Piece(task, index, count) for index in range(count)]
