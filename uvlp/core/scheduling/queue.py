"""The jobs of a run that wait, run and are finished, whether processes make them or they run on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from uvlp.core.scheduling.rule import Layout, Needs, Start, next_start


class Queue:
    """Jobs by priority, on the workers and cards of a machine.

    Args:
        jobs: see `rule.Job`.
        needs: returns what a job needs.
        layout: the workers and cards.
    """

    def __init__(self, jobs: Sequence[Any], needs: Callable[[Any], Needs], layout: Layout) -> None:
        self._waiting, self._needs, self._layout = list(jobs), needs, layout
        self._unfinished = {job.key for job in jobs}
        cards = len(layout.shares)
        self._of_all_cards = {job.key for job in jobs if needs(job).cards == cards} if cards > 1 else set()
        self.running: dict[int, Start[Any]] = {}

    def __bool__(self) -> bool:
        """Return whether anything is unfinished."""
        return bool(self._unfinished)

    def start(self) -> Start[Any] | None:
        """Let the next job run; None if none can start before another one ends.

        While a job for all cards is still to come, those that share cards wait until it is finished: it would
        have to wait for the longest of them, and all cards with it.
        """
        held = not self._of_all_cards.isdisjoint(self._unfinished)
        start = next_start(self._ready(shared=not held), self.running, self._layout)
        if start is None and held and not self.running:
            start = next_start(self._ready(shared=True), self.running, self._layout)
        if start is not None:
            self._waiting.remove(start.job)
            self.running[start.worker] = start
        assert self.running, "none of the jobs that wait can ever start"
        return start

    def finish(self, worker: int) -> Start[Any]:
        """Note that the job of a worker is finished; return it."""
        start = self.running.pop(worker)
        self._unfinished.discard(start.job.key)
        return start

    def _ready(self, *, shared: bool) -> Iterator[tuple[Any, Needs]]:
        """Yield the jobs whose inputs are finished, those that share a card only if wanted."""
        for job in self._waiting:
            if not self._waits(job):
                needs = self._needs(job)
                if shared or not needs.shared:
                    yield job, needs

    def _waits(self, job: Any) -> bool:
        """Return whether anything that the job depends on, directly or indirectly, is unfinished.

        An input may be finished while one of its own inputs is rebuilt, e.g. after damage; a table also reads
        those.
        """
        seen: set[str] = set()
        queue = list(job.inputs.values())
        while queue:
            needed = queue.pop()
            if needed.key in self._unfinished:
                return True
            if needed.key not in seen:
                seen.add(needed.key)
                queue.extend(needed.inputs.values())
        return False
