"""Tasks divided among several jobs: each makes some parts of an artifact, and the last one publishes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts.parts.parts import Share
from uvlp.artifacts.task import Task
from uvlp.declarations.method import declared_method

DIVISIBLE: Mapping[str, Callable[[Task], bool]] = {
    "caption": lambda task: task.published,  # by a model, not from files or measurements
    "embed": lambda task: True,
    "encode": lambda task: True,
    "prototype": lambda task: declared_method(task.facts["method"]).per_class,
    "synthesise": lambda task: "prototypes" in task.inputs,  # not images that a method selects
}
"""Stages that make artifacts in parts which do not depend on each other, and for which tasks."""
HELPED = ("caption",)
"""Stages of hours, all of which others wait for: jobs that are done make parts of slower ones."""
MANY, LONG_S = 64, 1800.0
"""Of those, more than so many pieces are at least so long: short ones would only level what help levels."""
MOST_PIECES = 512
PUBLISHED_S = 60.0
"""Assumed time to publish an artifact whose parts are made."""


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
        return Share(self.index, self.count, publishes=False, helps=self.stage in HELPED)


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


def task_of(job: Task | Piece | Divided) -> Task:
    """Return the task that a job makes, or makes parts of."""
    return job if isinstance(job, Task) else job.task


def pieces(task: Task, count: int) -> list[Piece]:
    """Return the jobs that make the parts of a divisible task."""
    return [Piece(task, index, count) for index in range(count)]


def jobs_of(
    task: Task, seconds: float, part_s: float, cards: int = 1, most: int = MOST_PIECES
) -> list[Task | Piece | Divided]:
    """Return the jobs that make a task: itself, or pieces of equal time and what publishes them.

    There are as many pieces as take ``part_s``, but a multiple of the cards if there are more than cards, so
    that none idles at the end. What reads the whole set has at least one piece for each card: nothing else is
    there to do meanwhile, whereas a method's images are made beside those of other methods and seeds.

    Args:
        task: the task.
        seconds: its estimated time; 0: unknown.
        part_s: least time of a piece.
        cards: cards among which it is divided; 1 if their number is unknown.
        most: largest number of pieces for each card.
    """
    count = int(seconds // part_s)
    if task.stage in HELPED:
        count = min(count, max(MANY, int(seconds // LONG_S)))
    if count >= cards:
        count = min(count // cards, most) * cards
    elif task.whole_set:
        count = cards
    if count < 2 or not divisible(task):
        return [task]
    return [*pieces(task, count), Divided(task, count)]


def seconds_of(job: Task | Piece | Divided, seconds: float) -> float:
    """Return the estimated time of a job of a task that takes ``seconds`` as a whole."""
    if isinstance(job, Piece):
        return seconds / job.count
    return min(seconds, PUBLISHED_S) if isinstance(job, Divided) else seconds


def divided(
    todo: Sequence[Task], seconds: dict[str, float], part_s: float
) -> tuple[Task | Piece | Divided, ...]:
    """Return the jobs of ``todo`` for a launcher; see `jobs_of`.

    Args:
        todo: tasks, inputs first.
        seconds: estimated time by key; receives that of pieces.
        part_s: least time of a piece.
    """
    jobs = [job for task in todo for job in jobs_of(task, seconds.get(task.key, 0.0), part_s)]
    seconds |= {job.key: seconds_of(job, seconds.get(task_of(job).key, 0.0)) for job in jobs}
    return tuple(jobs)
