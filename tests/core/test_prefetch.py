"""Prefetching: in order, bounded, and ended with the consumer."""

from __future__ import annotations

import threading
import time

import pytest

from uvlp.core.prefetch import in_background, in_order


def test_results_are_in_order_whatever_takes_longest() -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3 == 0))
        return item * item

    expected = [item * item for item in range(40)]
    assert list(in_order(work, range(40), 4, 8)) == list(in_order(work, range(40))) == expected


def test_prefetching_is_bounded() -> None:
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        return item

    results = in_order(work, range(100), 2, 5)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(started) <= 5
    results.close()
    assert len(started) <= 5


def test_error_is_raised_in_place_of_its_result() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("broken")
        return item

    results = in_background(in_order(work, range(9), 2, 4), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(results)


def test_background_thread_ends_with_the_consumer() -> None:
    before = threading.active_count()
    results = in_background((threading.current_thread() for _ in range(50)), 3)
    assert next(results) is not threading.current_thread()
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_empty_iterable_yields_nothing() -> None:
    assert list(in_background([], 2)) == []
    assert list(in_background(iter([None, 0]), 2)) == [None, 0]
