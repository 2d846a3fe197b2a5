"""Compute a batch that may not fit into the GPU's memory: in halves, which are joined afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from uvlp.core import machine

T = TypeVar("T")
R = TypeVar("R")

LESS_MEMORY = "stop other programs on the GPU, or hide it with CUDA_VISIBLE_DEVICES= to use the CPU"


def in_halves(compute: Callable[[Sequence[T]], R], items: Sequence[T], log: Callable[[str], None]) -> list[R]:
    """Return the result of ``compute`` for a batch; several in order if it had to be split.

    Out of memory splits this batch alone, so that other batches do not depend on it; ``log`` is called with
    one line. The number of splits is that of the results less one.

    Raises:
        UvlpError: a single item does not fit.
    """
    try:
        return [compute(items)]
    except torch.OutOfMemoryError as error:
        if len(items) == 1:
            raise machine.too_little_gpu_memory("for a batch of one", LESS_MEMORY) from error
    # Outside the except clause the exception is freed, and with it the tensors of its traceback.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = (len(items) + 1) // 2
    log(f"out of GPU memory at batch size {len(items)}: computing this batch in halves of {half}")
    return [*in_halves(compute, items[:half], log), *in_halves(compute, items[half:], log)]
