"""The jobs of a run in their order: on several cards, what can be divided is made in pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from uvlp.artifacts.task import Task
from uvlp.core.scheduling.rule import ANYWHERE, Needs
from uvlp.pipeline.planning.pieces import Divided, Piece, jobs_of, seconds_of, task_of

Job = Task | Piece | Divided
ROUNDS, ROUND_S = 4, 1800.0
"""A long task is divided into up to four pieces for each card, of at least half an hour, so that a slow piece
delays the others less; each piece loads the models again."""
CHAIN = ("caption", "encode")
"""Stages for which fine-tunings wait, in this order."""
DECODING = ("pixels", "collect")
"""Stages that read images once, take minutes and have no inputs."""


def in_order(todo: Sequence[Task], needs: Callable[[Task], Needs] = lambda task: ANYWHERE) -> list[Task]:
    """Return tasks in the order in which they start, as far as their inputs are complete and cards are free.

    Evaluations depend only on their images, and nothing depends on them: the long chain of models goes first,
    and the longest evaluations before others. Errors are found early: incomplete captions before hours of
    features; a teacher of other classes and undecodable images before anything long. What takes several cards
    waits until they are free, and what others wait for would wait with it: it comes after those.
    """
    measured = [task for task in todo if task.stage == "teacher" and task.settings.source != "trained"]
    early = {each.key for task in measured for each in (task, *task.inputs.values())}
    early |= {task.key for task in todo if task.stage in DECODING}

    def rank(task: Task) -> tuple[int, ...]:
        late, several = task.key not in early, needs(task).cards > 1
        chain = CHAIN.index(task.stage) if task.stage in CHAIN else len(CHAIN)
        return task.stage == "evaluate", late and not task.whole_set, late, chain, several

    return sorted(todo, key=rank)


def spread(todo: Sequence[Task], needs: Callable[[Task], Needs], cards: int) -> list[Job]:
    """Return the jobs that make ``todo``, in its order.

    Args:
        todo: the tasks.
        needs: returns what a task needs.
        cards: cards with a worker, among which long tasks are divided.
    """
    if cards < 2:
        return list(todo)
    times = {task.key: 60 * (needs(task).minutes or 0.0) for task in todo}
    return [job for task in todo for job in jobs_of(task, times[task.key], ROUND_S, cards, ROUNDS)]


def of_job(job: Job, needs: Callable[[Task], Needs]) -> Needs:
    """Return what a job needs: of the time its part."""
    if isinstance(job, Task):
        return needs(job)
    whole = needs(task_of(job))
    return replace(whole, minutes=seconds_of(job, 60 * (whole.minutes or 0.0)) / 60)
