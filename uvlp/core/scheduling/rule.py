"""The rule that decides which job starts next, on which cards and in which worker.

It sees what runs and what may start, and nothing else, so that the same rule schedules processes and a run on
paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

J = TypeVar("J")


class Job(Protocol):
    """Something to be made, identified by ``key``, from inputs that must be finished before it starts."""

    @property
    def key(self) -> str:
        """Unique key."""

    @property
    def title(self) -> str:
        """Name shown to the user."""

    @property
    def inputs(self) -> Mapping[str, Job]:
        """Jobs whose results this one uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a job needs.

    Attributes:
        cards: number of cards; 0: it computes on the processor.
        shared: whether its card may be shared with other such jobs; otherwise it has its cards to itself.
        cores: processor cores that it keeps busy.
        host_bytes, gpu_bytes: peak memory, of each card for the latter.
        minutes: estimated time; None if unknown.
    """

    cards: int = 0
    shared: bool = False
    cores: int = 1
    host_bytes: float = 0.0
    gpu_bytes: float = 0.0
    minutes: float | None = None


ANYWHERE = Needs()
"""The needs of a job that computes on the processor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The cards of a machine and the workers on them.

    Attributes:
        shares: by card, the largest number of jobs that share it.
        workers: by worker, the index of its card; None for one without a card.
        cores, host_bytes: what all jobs together may use; 0: not limited.
    """

    shares: Sequence[int] = ()
    workers: Sequence[int | None] = ()
    cores: int = 0
    host_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Start(Generic[J]):
    """A job that starts: its needs, its worker, and the indices of its cards, that of the worker first."""

    job: J
    needs: Needs
    worker: int
    cards: tuple[int, ...] = ()


@dataclass
class _State(Generic[J]):
    """What runs, and the cards that wait for a job which needs them to itself."""

    layout: Layout
    running: Sequence[Start[J]]
    claimed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        busy = {start.worker for start in self.running}
        self.idle = [worker for worker in range(len(self.layout.workers)) if worker not in busy]
        self.on = [[start for start in self.running if card in start.cards] for card in self._all]

    @property
    def _all(self) -> range:
        return range(len(self.layout.shares))

    def fits_on_the_host(self, needs: Needs) -> bool:
        """Return whether cores and memory are left; a job that runs alone may have all."""
        if not self.running:
            return True
        cores = needs.cores + sum(start.needs.cores for start in self.running)
        host_bytes = needs.host_bytes + sum(start.needs.host_bytes for start in self.running)
        return cores <= (self.layout.cores or cores) and host_bytes <= (self.layout.host_bytes or host_bytes)

    def start(self, job: J, needs: Needs) -> Start[J] | None:
        """Return how the job can start now; None if it cannot."""
        if not self.fits_on_the_host(needs):
            return None
        if not needs.cards:
            return Start(job, needs, min(self.idle, key=self._kept_from_cards))
        if needs.shared:
            return self._beside_others(job, needs)
        free = [card for card in self._all if not self.on[card] and card not in self.claimed]
        leads = [card for card in free if self._idle_on(card)]
        if len(free) < needs.cards or not leads:
            return None
        cards = (leads[0], *[card for card in self._last_with_workers(free) if card != leads[0]])
        return Start(job, needs, self._idle_on(leads[0])[0], cards[: needs.cards])

    def _beside_others(self, job: J, needs: Needs) -> Start[J] | None:
        """Start on the card with the fewest jobs that share it."""
        open_cards = [
            card
            for card in self._all
            if card not in self.claimed
            and len(self.on[card]) < self.layout.shares[card]
            and all(start.needs.shared for start in self.on[card])
            and self._idle_on(card)
        ]
        if not open_cards:
            return None
        card = min(open_cards, key=lambda each: len(self.on[each]))
        return Start(job, needs, self._idle_on(card)[0], (card,))

    def claim(self, needs: Needs) -> None:
        """Keep jobs of lower priority from the cards that are free first, or the job would wait forever."""
        usable = [card for card in self._all if card not in self.claimed]
        usable.sort(key=lambda card: len(self.on[card]))
        lead = next((card for card in usable if card in self.layout.workers), None)
        others = [card for card in usable if card != lead]
        self.claimed.update(([] if lead is None else [lead]) + others[: needs.cards - 1])

    def _idle_on(self, card: int) -> list[int]:
        return [worker for worker in self.idle if self.layout.workers[worker] == card]

    def _last_with_workers(self, cards: Sequence[int]) -> list[int]:
        """Return cards without a worker first: no other job can use them alone."""
        return sorted(cards, key=lambda card: card in self.layout.workers)

    def _kept_from_cards(self, worker: int) -> tuple[bool, int]:
        """Return a key that is small for workers whose card needs them least."""
        card = self.layout.workers[worker]
        if card is None:
            return False, 0
        held = any(not start.needs.shared for start in self.on[card])
        return not held, -len(self._idle_on(card))


def next_start(
    ready: Iterable[tuple[J, Needs]], running: Mapping[int, Start[J]], layout: Layout
) -> Start[J] | None:
    """Return the first job that can start now; None if none can.

    A job that waits for cards claims those that are free first: nothing after it starts there.

    Args:
        ready: jobs whose inputs are finished, by priority.
        running: what runs, by worker.
        layout: the cards and workers.
    """
    state: _State[J] = _State(layout, list(running.values()))
    if not state.idle:
        return None
    for job, needs in ready:
        start = state.start(job, needs)
        if start is not None:
            return start
        if needs.cards and not needs.shared:
            state.claim(needs)
    return None
