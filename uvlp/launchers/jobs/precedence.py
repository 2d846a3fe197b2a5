"""Which jobs let others start first, though they do not need them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from uvlp.launchers.jobs.grouping import Group


def started_before(
    groups: Sequence[Group], cards: Callable[[Group], int], most: int
) -> dict[str, frozenset[str]]:
    """Return the keys of the tasks that have to be started before a job, by the job's name.

    A job of more than ``most`` cards, the longest link of a run's chain, needs many that are free at the same
    time. Jobs beside the chain, such as evaluations of other methods, would take some of them just before:
    they start after it. What the end of the chain reads, such as prototypes, does not wait.

    Args:
        groups: jobs that are to be submitted.
        cards: returns the number of cards of a job; one without a card takes none from others.
        most: number of cards of usual jobs.
    """
    large = [row for row, each in enumerate(groups) if cards(each) > most]
    of_key = {task.key: row for row, each in enumerate(groups) for task in each.tasks}
    before = [{of_key[key] for key in each.needs if key in of_key} for each in groups]
    after: list[set[int]] = [set() for _ in groups]
    for row, others in enumerate(before):
        for other in others:
            after[other].add(row)
    last = _reached(large, after)
    chain = last | _reached([row for row in last if cards(groups[row])], before)
    keys = frozenset(groups[row].tasks[-1].key for row in large)
    return {each.name: keys for row, each in enumerate(groups) if keys and row not in chain and cards(each)}


def _reached(rows: Iterable[int], edges: Sequence[set[int]]) -> set[int]:
    """Return ``rows`` and everything that is reached from them."""
    found = set(rows)
    waiting = list(found)
    while waiting:
        new = edges[waiting.pop()] - found
        found |= new
        waiting += new
    return found
