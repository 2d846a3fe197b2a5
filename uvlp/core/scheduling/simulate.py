"""A run on paper: the rule of the scheduler, with durations instead of processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from uvlp.core.scheduling.queue import Queue
from uvlp.core.scheduling.rule import Layout, Needs, Start

SETTLED = 1e-9
"""Minutes below which nothing is left of a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A job of a run on paper: its cards, and when it began and ended, in minutes."""

    job: Any
    cards: tuple[int, ...]
    began: float
    ended: float


def simulate(
    jobs: Sequence[Any],
    layout: Layout,
    needs: Callable[[Any], Needs],
    minutes: Callable[[Start[Any]], float],
) -> list[Ran]:
    """Return the jobs in the order in which they end.

    Jobs that share a card slow each other down as if one computed after the other.

    Args:
        jobs: by priority.
        layout: cards and workers.
        needs: returns what a job needs.
        minutes: returns how long a job takes where it starts, if it shares its card with none.
    """
    queue, now = Queue(jobs, needs, layout), 0.0
    left: dict[int, float] = {}
    began: dict[int, float] = {}
    ran: list[Ran] = []
    while queue:
        while (start := queue.start()) is not None:
            left[start.worker], began[start.worker] = minutes(start), now
        slower = {worker: _sharing(start, queue.running) for worker, start in queue.running.items()}
        step = min(left[worker] * slower[worker] for worker in queue.running)
        now += step
        for worker in list(queue.running):
            left[worker] -= step / slower[worker]
            if left[worker] <= SETTLED:
                start = queue.finish(worker)
                ran.append(Ran(job=start.job, cards=start.cards, began=began[worker], ended=now))
    return ran


def _sharing(start: Start[Any], running: dict[int, Start[Any]]) -> int:
    """Return how many jobs are on the card of a job."""
    return max(1, sum(start.cards == other.cards for other in running.values())) if start.cards else 1
