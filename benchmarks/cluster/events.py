"""Jobs of a cluster on paper: when each runs on nodes with cards, as drawn and assumed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uvlp.launchers.jobs.limits import CHECKPOINT_S, START_S

Shape = tuple[int, int]
"""Number of nodes, and of the cards of each."""
NODE_CARDS = 8
STRAGGLER_SIGMA = 0.15
LOSS_HOURS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What one column assumes.

    Attributes:
        per_card: a straggler is drawn for every card of a job, and the slowest decides; else once per job.
        wait_s: time of every job in the queue.
        bandwidth: of an all-reduce, bytes per second.
        hidden: gradients are exchanged while the backward pass goes on; else after it.
    """

    per_card: bool = False
    wait_s: float = 0.0
    bandwidth: float = 200e9
    hidden: bool = True

    @property
    def title(self) -> str:
        """Words for a line of the table."""
        draw = "per card" if self.per_card else "per job"
        after = "" if self.hidden else ", exchange after the step"
        return f"{draw}, wait {self.wait_s / 60:.0f} min, {self.bandwidth / 1e9:.0f} GB/s{after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of the cluster.

    Attributes:
        stage: that of its longest task.
        cards: that it holds; 0 if it needs none.
        nodes: among which they are divided equally.
        seconds: without stragglers and losses.
        useful_s: time on one card of what it computes; 0 for what needs no card.
        exchange_s: the part of its time in which cards wait for gradients.
        before: rows of the jobs that must be done.
        resumed: whether a lost node costs the work since a checkpoint, or all of it.
    """

    stage: str
    cards: int
    nodes: int
    seconds: float
    useful_s: float
    exchange_s: float
    before: frozenset[int]
    resumed: bool

    @property
    def shape(self) -> Shape:
        """Its nodes, and the cards of each."""
        return self.nodes, self.cards // self.nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """When a job ran, in seconds, with the shares of that time that were no progress.

    Attributes:
        job: the job.
        began, ended: from the start of the run on.
        straggled_s: time beyond the estimate, on a slow card; negative on a fast one.
        lost_s: work that was lost with a node, and time until it was begun again.
        losses: number of lost nodes.
    """

    job: Job
    began: float
    ended: float
    straggled_s: float
    lost_s: float
    losses: int


class Nodes:
    """Free cards by node. A job of several nodes takes the same number of cards of each."""

    def __init__(self, cards: int) -> None:
        self._free = [NODE_CARDS] * (cards // NODE_CARDS) + [cards % NODE_CARDS] * (cards % NODE_CARDS > 0)

    def take(self, nodes: int, each: int) -> list[tuple[int, int]] | None:
        """Take ``each`` cards of some nodes, and return nodes with cards; None if they are not free.

        One node is the fullest on which they fit, several are the emptiest.
        """
        fitting = sorted((free, node) for node, free in enumerate(self._free) if free >= each)
        if len(fitting) < nodes:
            return None
        fitting = fitting[-nodes:] if nodes > 1 else fitting[:1]
        for _, node in fitting:
            self._free[node] -= each
        return [(node, each) for _, node in fitting]

    def give(self, taken: Sequence[tuple[int, int]]) -> None:
        """Return cards."""
        for node, cards in taken:
            self._free[node] += cards


def run(jobs: Sequence[Job], cards: int, conditions: Conditions, seed: int) -> list[Ran]:
    """Return when each job runs on ``cards`` cards; of those that are ready, the first that fits starts."""
    draws, nodes = random.Random(seed), Nodes(cards)
    left = [len(job.before) for job in jobs]
    after: list[list[int]] = [[] for _ in jobs]
    for row, job in enumerate(jobs):
        for other in job.before:
            after[other].append(row)
    queued = [(conditions.wait_s, row) for row, count in enumerate(left) if not count]
    heapq.heapify(queued)
    ready: dict[Shape, list[int]] = {}
    running: list[tuple[float, int, list[tuple[int, int]]]] = []
    found: list[Ran] = []
    while queued or running:
        now = min(times[0][0] for times in (queued, running) if times)
        while running and running[0][0] <= now:
            _, row, taken = heapq.heappop(running)
            nodes.give(taken)
            for other in after[row]:
                left[other] -= 1
                if not left[other]:
                    heapq.heappush(queued, (now + conditions.wait_s, other))
        while queued and queued[0][0] <= now:
            row = heapq.heappop(queued)[1]
            heapq.heappush(ready.setdefault(jobs[row].shape, []), row)
        for row, taken in _start(ready, nodes):
            ran = _drawn(jobs[row], now, conditions, draws)
            heapq.heappush(running, (ran.ended, row, taken))
            found.append(ran)
    assert len(found) == len(jobs), "every job finds its cards"
    return found


def _start(ready: dict[Shape, list[int]], nodes: Nodes) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Take the jobs that fit out of ``ready``, first ones first, and yield them with their cards."""
    tried = {shape for shape, rows in ready.items() if rows}
    while tried:
        shape = min(tried, key=lambda shape: ready[shape][0])
        taken = nodes.take(*shape)
        if taken is None:  # nor does it fit while cards are only taken
            tried.remove(shape)
            continue
        yield heapq.heappop(ready[shape]), taken
        if not ready[shape]:
            tried.remove(shape)


def _drawn(job: Job, began: float, conditions: Conditions, draws: random.Random) -> Ran:
    """Return a job that begins now, with its straggler and its lost nodes."""
    several = max(1, job.cards) if conditions.per_card else 1
    factor = max(draws.lognormvariate(0.0, STRAGGLER_SIGMA) for _ in range(several))
    left, lost_s, losses = job.seconds * factor, 0.0, 0
    while job.cards:
        until = draws.expovariate(job.cards / (LOSS_HOURS * 3600))
        if until >= left:
            break
        losses += 1
        kept = max(0.0, until - CHECKPOINT_S) if job.resumed else 0.0
        lost_s += until - kept + START_S + conditions.wait_s
        left -= kept
    return Ran(
        job=job,
        began=began,
        ended=began + START_S + job.seconds * factor + lost_s,
        straggled_s=job.seconds * (factor - 1),
        lost_s=lost_s,
        losses=losses,
    )
