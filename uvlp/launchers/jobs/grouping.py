"""Grouping of tasks into jobs: short tasks share a job, and a job starts after those that it needs.

A job is a set of tasks of which none depends on another job that depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from uvlp.core.hashing import digest
from uvlp.core.scheduling import rule
from uvlp.declarations.launcher import Job

NAME_LENGTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tasks of one job.

    Attributes:
        tasks: in an order in which they can be made.
        seconds: the sum of their estimated times.
        needs: keys of unfinished tasks outside it that it reads, directly or not.
    """

    tasks: tuple[Job, ...]
    seconds: float
    needs: frozenset[str]

    @property
    def name(self) -> str:
        """Name that depends on the tasks alone, by which a later call recognises the job."""
        return digest(sorted(task.key for task in self.tasks))[:NAME_LENGTH]

    @property
    def title(self) -> str:
        """Title for messages: its only task, or the number of tasks by stage."""
        if len(self.tasks) == 1:
            return self.tasks[0].title or self.tasks[0].stage
        counts: dict[str, int] = {}
        for task in self.tasks:
            counts[task.stage] = counts.get(task.stage, 0) + 1
        return ", ".join(f"{count} {stage}" for stage, count in counts.items())


def needed(tasks: Sequence[Job]) -> dict[str, frozenset[str]]:
    """Return the keys of those of ``tasks`` that each one reads, through finished inputs as well.

    A table also reads the inputs of its inputs, and one of them may be rebuilt after damage.
    """
    unfinished = {task.key for task in tasks}
    found: dict[str, frozenset[str]] = {}

    def below(task: rule.Job) -> frozenset[str]:
        if task.key not in found:
            keys: set[str] = set()
            for earlier in task.inputs.values():
                keys |= {earlier.key} if earlier.key in unfinished else below(earlier)
            found[task.key] = frozenset(keys)
        return found[task.key]

    for task in tasks:
        below(task)
    return {task.key: found[task.key] for task in tasks}


def group(
    tasks: Sequence[Job],
    seconds: Mapping[str, float],
    least_s: float,
    apart: Iterable[str] = (),
    cards: Callable[[Job], int] = lambda job: 1,
) -> list[Group]:
    """Return jobs of at least ``least_s`` estimated seconds where dependencies allow it, first ones first.

    Args:
        tasks: unfinished tasks, in an order in which they can be made.
        seconds: estimated time of each by its key.
        least_s: shorter tasks are grouped.
        apart: keys of tasks that jobs of the cluster make already; they are left out, but needed.
        cards: number of cards that a task needs; long tasks do not keep others waiting.
    """
    taken = set(apart)
    needs = needed(tasks)
    own = [task for task in tasks if task.key not in taken]
    parts = _of_levels(own, needs, seconds, least_s, cards)
    graph = _Graph(parts, needs, seconds, cards)
    graph.contract(least_s)
    return graph.groups({task.key: row for row, task in enumerate(own)})


def _of_levels(
    tasks: Sequence[Job],
    needs: Mapping[str, frozenset[str]],
    seconds: Mapping[str, float],
    least_s: float,
    cards: Callable[[Job], int],
) -> list[list[Job]]:
    """Collect short tasks of the same depth that need the same long ones; long tasks stay alone.

    They cannot depend on one another, and none waits for a long task that only another one needs.
    """
    depth: dict[str, int] = {}
    long: dict[str, frozenset[str]] = {}
    for task in _inputs_first(tasks, needs):
        before = [key for key in needs[task.key] if key in depth]
        depth[task.key] = 1 + max((depth[key] for key in before), default=0)
        own = {task.key} if seconds.get(task.key, 0.0) >= least_s else ()
        long[task.key] = frozenset(own).union(*(long[key] for key in before))
    parts: list[list[Job]] = []
    open_parts: dict[tuple[int, int, frozenset[str]], list[Job]] = {}
    filled: dict[tuple[int, int, frozenset[str]], float] = {}
    for task in sorted(tasks, key=lambda task: depth[task.key]):
        if task.key in long[task.key]:
            parts.append([task])
            continue
        alike = depth[task.key], cards(task), long[task.key]
        open_parts.setdefault(alike, []).append(task)
        filled[alike] = filled.get(alike, 0.0) + seconds.get(task.key, 0.0)
        if filled[alike] >= least_s:
            parts.append(open_parts.pop(alike))
            del filled[alike]
    return [*parts, *open_parts.values()]


def _inputs_first(tasks: Sequence[Job], needs: Mapping[str, frozenset[str]]) -> list[Job]:
    """Return tasks so that each comes after those that it needs, and else in their own order."""
    row_of = {task.key: row for row, task in enumerate(tasks)}
    ordered: dict[str, Job] = {}

    def add(task: Job) -> None:
        for row in sorted(row_of[key] for key in needs[task.key] if key in row_of):
            if tasks[row].key not in ordered:
                add(tasks[row])
        ordered[task.key] = task

    for task in tasks:
        if task.key not in ordered:
            add(task)
    return list(ordered.values())


class _Graph:
    """Parts of the plan, each a list of tasks, with the parts before and after each."""

    def __init__(
        self,
        parts: list[list[Job]],
        needs: Mapping[str, frozenset[str]],
        seconds: Mapping[str, float],
        cards: Callable[[Job], int],
    ) -> None:
        self._needs = needs
        self._parts = dict(enumerate(parts))
        self._seconds = {
            row: sum(seconds.get(task.key, 0.0) for task in part) for row, part in self._parts.items()
        }
        self._longest = {
            row: max(seconds.get(task.key, 0.0) for task in part) for row, part in self._parts.items()
        }
        self._cards = {row: max(map(cards, part)) for row, part in self._parts.items()}
        self._card_seconds = {
            row: sum(seconds.get(task.key, 0.0) * cards(task) for task in part)
            for row, part in self._parts.items()
        }
        of_key = {task.key: row for row, part in self._parts.items() for task in part}
        self._before: dict[int, set[int]] = {
            row: {of_key[key] for task in part for key in needs[task.key] if key in of_key} - {row}
            for row, part in self._parts.items()
        }
        self._after: dict[int, set[int]] = {row: set() for row in self._parts}
        for row, before in self._before.items():
            for other in before:
                self._after[other].add(row)

    def contract(self, least_s: float) -> None:
        """Join each short part with its only neighbour before or after it: no cycle can arise."""
        waiting = sorted(self._parts)
        while waiting:
            row = waiting.pop()
            if row not in self._parts or self._seconds[row] >= least_s:
                continue
            for near, back in ((self._before, self._after), (self._after, self._before)):
                if len(near[row]) == 1:
                    (other,) = near[row]
                    if self._takes_turns(row, other, least_s) or self._wastes_cards(row, other, least_s):
                        continue
                    self._join(row, other)
                    waiting += [other, *back[other], *near[other]]
                    break

    def _takes_turns(self, row: int, other: int, most_s: float) -> bool:
        """Return whether tasks that could be made at once would follow a job's longest one for that long."""
        chain = {row} in (self._before[other], self._after[other])
        longest_s = max(self._longest[row], self._longest[other])
        return not chain and self._seconds[row] + self._seconds[other] - longest_s >= most_s

    def _wastes_cards(self, row: int, other: int, most_s: float) -> bool:
        """Return whether a job of both would hold cards for so many card-seconds without using them."""
        held_s = (self._seconds[row] + self._seconds[other]) * max(self._cards[row], self._cards[other])
        return held_s - self._card_seconds[row] - self._card_seconds[other] >= most_s

    def _join(self, row: int, other: int) -> None:
        """Join ``row`` into ``other``, its only neighbour on one side."""
        self._cards[other] = max(self._cards[other], self._cards.pop(row))
        self._card_seconds[other] += self._card_seconds.pop(row)
        self._longest[other] = max(self._longest[other], self._longest.pop(row))
        self._parts[other] = [*self._parts[other], *self._parts.pop(row)]
        self._seconds[other] += self._seconds.pop(row)
        for near, back in ((self._before, self._after), (self._after, self._before)):
            moved = near.pop(row) - {other}
            for each in moved:
                back[each].discard(row)
                back[each].add(other)
            near[other] |= moved
            near[other].discard(row)

    def groups(self, order: Mapping[str, int]) -> list[Group]:
        """Return the parts as jobs, each after those that it needs."""
        ordered: list[int] = []
        seen: set[int] = set()

        def add(row: int) -> None:
            seen.add(row)
            for other in sorted(self._before[row]):
                if other not in seen:
                    add(other)
            ordered.append(row)

        for row in sorted(self._parts, key=lambda row: min(order[task.key] for task in self._parts[row])):
            if row not in seen:
                add(row)
        return [self._group(row) for row in ordered]

    def _group(self, row: int) -> Group:
        tasks = _inputs_first(self._parts[row], self._needs)
        inside = {task.key for task in tasks}
        outside = frozenset(key for task in tasks for key in self._needs[task.key] if key not in inside)
        return Group(tasks=tuple(tasks), seconds=self._seconds[row], needs=outside)
