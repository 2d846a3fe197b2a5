"""Work in batches that the GPU's memory holds: halve and try again when it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from uvlp.core import machine

T = TypeVar("T")
R = TypeVar("R")

LESS_MEMORY = "stop other programs on the GPU, or hide it with CUDA_VISIBLE_DEVICES= to use the CPU"


def in_batches(
    compute: Callable[[Sequence[T]], R], items: Sequence[T], batch: int, log: Callable[[str], None]
) -> Iterator[tuple[Sequence[T], R]]:
    """Yield (items of a batch, what ``compute`` made of them), in order.

    Out of memory halves the batch for the rest of the items; ``log`` is called with one line.

    Raises:
        UvlpError: one item alone does not fit.
    """
    start = 0
    while start < len(items):
        part = items[start : start + batch]
        try:
            made = compute(part)
        except torch.OutOfMemoryError as error:
            if len(part) == 1:
                raise machine.too_little_gpu_memory("for a batch of one", LESS_MEMORY) from error
            batch = len(part) // 2
            log(f"out of GPU memory at {len(part)} at once: going on with {batch}")
        else:
            yield part, made
            start += len(part)
            continue
        # Here the exception is gone, and with it the tensors that its traceback held.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
