"""Prepare what comes next in threads, a bounded distance ahead, so that a GPU never waits for a decoder."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_END = object()


def in_order(
    work: Callable[[T], R], items: Iterable[T], threads: int, ahead: int
) -> Generator[R, None, None]:
    """``work`` on every item, results in order; at most ``ahead`` of them are in the making or waiting.

    Unlike `image_files.in_threads` it holds a bounded number of results whatever the consumer's speed, and
    never lets the threads run dry at the end of a chunk.
    """
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
    """``items``, made by another thread, ``ahead`` of them at most before they are asked for."""
    source = iter(items)

    def following(_: None) -> T | object:
        return next(source, _END)

    with closing(in_order(following, itertools.repeat(None), 1, ahead)) as made:
        for item in made:
            if item is _END:
                return
            yield item  # type: ignore[misc]
