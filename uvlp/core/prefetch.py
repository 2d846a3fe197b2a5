"""Prefetching in threads, with a bounded number of items ahead, so that a GPU never waits for a decoder."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREADS = 8
AHEAD = 16
_END = object()


def in_order(
    work: Callable[[T], R], items: Iterable[T], threads: int = 0, ahead: int = 0
) -> Generator[R, None, None]:
    """Yield ``work(item)`` for every item, in order.

    Args:
        threads: number of threads; 0: one per processor, at most `THREADS`.
        ahead: most results that are being computed or waiting; 0: `AHEAD` per thread.
    """
    threads = threads or min(THREADS, len(os.sched_getaffinity(0)))
    ahead = ahead or AHEAD * threads
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_background(items: Iterable[T], ahead: int) -> Iterator[T]:
    """Yield ``items``, computed by another thread at most ``ahead`` items before they are requested."""
    source = iter(items)

    def following(_: None) -> T | object:
        return next(source, _END)

    with closing(in_order(following, itertools.repeat(None), 1, ahead)) as results:
        for item in results:
            if item is _END:
                return
            yield item  # type: ignore[misc]
