"""Jobs of a cluster on paper: when each runs on nodes with cards, as drawn and assumed."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from uvlp.launchers.jobs.limits import CHECKPOINT_S, START_S

Shape = tuple[int, int]
"""Number of nodes, and of the cards of each."""
Taken = list[tuple[int, int]]
"""Nodes, and the number of cards that are taken of each."""
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
        begun: rows of the jobs that must have started.
        shared: title of the divided task whose parts it makes, also those of slower jobs; "": none.
        parts: number of its own parts.
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
    begun: frozenset[int] = frozenset()
    shared: str = ""
    parts: int = 0

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

    def take(self, nodes: int, each: int) -> Taken | None:
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
    found = _Run(jobs, cards, conditions, seed).ran()
    assert len(found) == len(jobs), "every job finds its cards"
    return found


class _Run:
    """Jobs that wait for others, in the queue, for cards, or run."""

    def __init__(self, jobs: Sequence[Job], cards: int, conditions: Conditions, seed: int) -> None:
        self._jobs, self._conditions = jobs, conditions
        self._draws, self._nodes, self._pools = random.Random(seed), Nodes(cards), Pools(jobs)
        self._left = [len(job.before) + len(job.begun) for job in jobs]
        self._after = _inverted([job.before for job in jobs])
        self._behind = _inverted([job.begun for job in jobs])
        self._queued = [(conditions.wait_s, row) for row, count in enumerate(self._left) if not count]
        self._ready: dict[Shape, list[int]] = {}
        self._running: list[tuple[float, int, Taken]] = []
        """Ends of jobs, or of parts of those that make shared ones."""

    def ran(self) -> list[Ran]:
        found: list[Ran] = []
        heapq.heapify(self._queued)
        while self._queued or self._running:
            now = min(times[0][0] for times in (self._queued, self._running) if times)
            while self._running and self._running[0][0] <= now:
                _, row, taken = heapq.heappop(self._running)
                ended = self._pools.ended(row, now) if self._jobs[row].shared else None
                if self._jobs[row].shared and ended is None:
                    self._make_part(row, now, taken)
                    continue
                found += [] if ended is None else [ended]
                self._nodes.give(taken)
                self._release(self._after[row], now)
            while self._queued and self._queued[0][0] <= now:
                row = heapq.heappop(self._queued)[1]
                heapq.heappush(self._ready.setdefault(self._jobs[row].shape, []), row)
            for row, taken in _start(self._ready, self._nodes):
                self._release(self._behind[row], now)
                found += self._begin(row, now, taken)
        return found

    def _begin(self, row: int, now: float, taken: Taken) -> list[Ran]:
        """Start a job; return when it ends, if that is known."""
        job = self._jobs[row]
        if job.shared:
            self._pools.begin(row, now, _factor(job, self._conditions, self._draws))
            heapq.heappush(self._running, (now + START_S, row, taken))
            return []
        ran = _drawn(job, now, self._conditions, self._draws)
        heapq.heappush(self._running, (ran.ended, row, taken))
        return [ran]

    def _make_part(self, row: int, now: float, taken: Taken) -> None:
        seconds = self._pools.part_s(row, self._draws, self._conditions)
        heapq.heappush(self._running, (now + seconds, row, taken))

    def _release(self, rows: Sequence[int], now: float) -> None:
        for row in rows:
            self._left[row] -= 1
            if not self._left[row]:
                heapq.heappush(self._queued, (now + self._conditions.wait_s, row))


def _inverted(edges: Sequence[frozenset[int]]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in edges]
    for row, others in enumerate(edges):
        for other in others:
            found[other].append(row)
    return found


class _Making:
    """A running job that makes shared parts."""

    def __init__(self, began: float, factor: float) -> None:
        self.began, self.factor, self.helps_until = began, factor, math.inf
        self.seconds = self.lost_s = 0.0
        self.losses = 0


class Pools:
    """The parts of divided tasks: a job that is done makes parts of slower ones, as `Work.in_turn` does."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._left = {row: job.parts for row, job in enumerate(jobs) if job.shared}
        self._making: dict[int, _Making] = {}
        self._slowest: dict[str, list[tuple[int, int]]] = {}
        """By title, heaps of jobs with the negative number of parts that they had left, or have."""
        for row, count in self._left.items():
            heapq.heappush(self._slowest.setdefault(jobs[row].shared, []), (-count, row))

    def begin(self, row: int, now: float, factor: float) -> None:
        """Note that a job starts; its time is ``factor`` times the estimate."""
        self._making[row] = _Making(now, factor)

    def ended(self, row: int, now: float) -> Ran | None:
        """Take the next part that a job makes; return when it ran if it makes no more."""
        making, job = self._making[row], self._jobs[row]
        if not self._left[row] and making.helps_until == math.inf:
            making.helps_until = now + (now - making.began - START_S)
        of = row if self._left[row] else self._slowest_of(job.shared)
        if self._left[of] and (of == row or now < making.helps_until):
            self._left[of] -= 1
            return None
        made = making.seconds / job.seconds
        return Ran(
            job=replace(job, seconds=making.seconds, useful_s=job.useful_s * made),
            began=making.began,
            ended=now,
            straggled_s=making.seconds * (making.factor - 1),
            lost_s=making.lost_s,
            losses=making.losses,
        )

    def _slowest_of(self, shared: str) -> int:
        """Return the job with most parts left."""
        heap = self._slowest[shared]
        while self._left[heap[0][1]] < -heap[0][0]:
            heapq.heapreplace(heap, (-self._left[heap[0][1]], heap[0][1]))
        return heap[0][1]

    def part_s(self, row: int, draws: random.Random, conditions: Conditions) -> float:
        """Return the time of a part that a job makes; one that is lost with its node is made again."""
        making, job = self._making[row], self._jobs[row]
        each = job.seconds / job.parts
        making.seconds += each
        lost_s = 0.0
        while (until := draws.expovariate(job.cards / (LOSS_HOURS * 3600))) < each * making.factor:
            lost_s += until + START_S + conditions.wait_s
            making.losses += 1
        making.lost_s += lost_s
        return each * making.factor + lost_s


def _start(ready: dict[Shape, list[int]], nodes: Nodes) -> Iterator[tuple[int, Taken]]:
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
    factor = _factor(job, conditions, draws)
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


def _factor(job: Job, conditions: Conditions, draws: random.Random) -> float:
    """Return a drawn time as a multiple of the estimate."""
    several = max(1, job.cards) if conditions.per_card else 1
    return max(draws.lognormvariate(0.0, STRAGGLER_SIGMA) for _ in range(several))
