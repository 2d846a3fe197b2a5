"""Which job starts next: priorities, cards of their own, shared cards, waiting for several cards."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from uvlp.core.scheduling.rule import ANYWHERE, Layout, Needs, Start, next_start

ALONE, SHARED = Needs(cards=1), Needs(cards=1, shared=True)
EIGHT = Layout(shares=(2,) * 8, workers=tuple(range(8)) * 2)


def started(
    ready: Sequence[tuple[str, Needs]], layout: Layout, running: dict[int, Start[str]] | None = None
) -> dict[int, Start[str]]:
    """Start what can start, as a scheduler does; return what then runs."""
    running = dict(running or {})
    while (
        start := next_start([each for each in ready if each[0] not in names(running)], running, layout)
    ) is not None:
        assert start.worker not in running
        running[start.worker] = start
    return running


def names(running: dict[int, Start[str]]) -> list[str]:
    return [start.job for start in running.values()]


def cards_of(running: dict[int, Start[str]]) -> dict[str, tuple[int, ...]]:
    return {start.job: start.cards for start in running.values()}


def test_without_cards_jobs_start_by_priority_on_the_first_idle_workers() -> None:
    running = started([(name, ANYWHERE) for name in "abc"], Layout(workers=(None, None)))
    assert {worker: start.job for worker, start in running.items()} == {0: "a", 1: "b"}


def test_jobs_with_a_card_to_themselves_use_all_cards_and_share_none() -> None:
    found = cards_of(started([(str(number), ALONE) for number in range(10)], EIGHT))
    assert found == {str(number): (number,) for number in range(8)}


def test_a_job_runs_on_the_card_of_its_worker() -> None:
    for start in started([(str(number), SHARED) for number in range(16)], EIGHT).values():
        assert EIGHT.workers[start.worker] == start.cards[0]


def test_shared_cards_fill_evenly_up_to_their_bound() -> None:
    layout = Layout(shares=(2, 1), workers=(0, 1, 0, 0))
    assert cards_of(started([(name, SHARED) for name in "abcd"], layout)) == {"a": (0,), "b": (1,), "c": (0,)}


def test_nothing_shares_a_card_with_a_job_that_has_it_to_itself() -> None:
    layout = Layout(shares=(4,), workers=(0, 0, 0))
    assert names(started([("a", ALONE), ("b", SHARED), ("c", ALONE)], layout)) == ["a"]
    assert names(started([("b", SHARED), ("a", ALONE), ("c", SHARED)], layout)) == ["b"], "c would delay a"


def test_job_for_all_cards_waits_and_nothing_starts_on_them_meanwhile() -> None:
    every = Needs(cards=8)
    running = started([("first", ALONE), ("every", every), ("late", ALONE), ("host", ANYWHERE)], EIGHT)
    assert sorted(names(running)) == ["first", "host"]
    (worker,) = [worker for worker, start in running.items() if start.job == "first"]
    del running[worker]
    running = started([("every", every), ("late", ALONE), ("late too", SHARED)], EIGHT, running)
    assert sorted(names(running)) == ["every", "host"]
    assert sorted(cards_of(running)["every"]) == list(range(8))
    start = next(start for start in running.values() if start.job == "every")
    assert EIGHT.workers[start.worker] == start.cards[0], "its worker sees the first of them"


def test_several_jobs_for_some_cards_run_side_by_side() -> None:
    found = cards_of(started([(name, Needs(cards=4)) for name in "abc"], EIGHT))
    assert sorted(found["a"] + found["b"]) == list(range(8)) and "c" not in found


def test_job_for_some_cards_keeps_only_those_from_others() -> None:
    running = started([(name, ALONE) for name in "abcdefg"], EIGHT)
    running = started([("two", Needs(cards=2)), ("h", ALONE), ("i", SHARED)], EIGHT, running)
    assert "two" not in names(running) and "h" not in names(running), "one card is free, and two claims it"


def test_cards_without_a_worker_of_their_own_serve_jobs_for_several() -> None:
    layout = Layout(shares=(1,) * 8, workers=(0, 1))
    found = cards_of(started([("a", Needs(cards=4)), ("b", Needs(cards=4))], layout))
    assert found["a"][0] == 0 and found["b"][0] == 1
    assert sorted(found["a"] + found["b"]) == list(range(8))


def test_job_for_the_processor_leaves_workers_to_cards_that_need_them() -> None:
    layout = Layout(shares=(1, 1), workers=(0, 1, 0))
    running = started([("card", ALONE), ("host", ANYWHERE)], layout)
    assert {start.job: worker for worker, start in running.items()} == {"card": 0, "host": 2}


def test_memory_and_cores_of_the_host_bound_what_runs_together() -> None:
    big = Needs(cards=1, shared=True, host_bytes=60.0, cores=1)
    layout = Layout(shares=(4,), workers=(0,) * 4, cores=4, host_bytes=100.0)
    assert names(started([("a", big), ("b", big), ("c", SHARED)], layout)) == ["a", "c"]
    assert names(started([("huge", Needs(host_bytes=1e9, cores=99))], layout)) == ["huge"], "alone"
    wide = Needs(cores=3)
    assert names(started([("a", wide), ("b", wide), ("c", ANYWHERE)], layout)) == ["a", "c"]


@pytest.mark.parametrize("seed", range(30))
def test_random_jobs_all_finish_and_keep_the_rules(seed: int) -> None:
    draw = random.Random(seed)
    count = draw.randint(1, 8)
    shares = tuple(draw.randint(1, 3) for _ in range(count))
    workers = tuple(number % count for number in range(draw.randint(1, 2 * count)))
    layout = Layout(
        shares=shares, workers=workers, cores=draw.choice([0, 8]), host_bytes=draw.choice([0, 3.0])
    )
    kinds = [
        ANYWHERE,
        ALONE,
        SHARED,
        Needs(cards=count),
        Needs(cards=draw.randint(1, count), cores=5, host_bytes=2),
    ]
    waiting = [(str(number), draw.choice(kinds)) for number in range(40)]
    running: dict[int, Start[str]] = {}
    while waiting or running:
        running = started(waiting, layout, running)
        waiting = [each for each in waiting if each[0] not in names(running)]
        assert running, "a job waits forever"
        for card in range(count):
            here = [start for start in running.values() if card in start.cards]
            assert len(here) <= shares[card] and (len(here) <= 1 or all(start.needs.shared for start in here))
        assert all(len(start.cards) == start.needs.cards for start in running.values())
        del running[draw.choice(sorted(running))]
