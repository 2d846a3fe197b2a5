"""What is asked once in a process is asked anew by every test: each has a driver of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from uvlp.core import nvidia
from uvlp.pipeline.estimates import cards


@pytest.fixture(autouse=True)
def ask_anew() -> Iterator[None]:
    _forget()  # dry runs of other rooms ask in the same process
    yield
    _forget()


def _forget() -> None:
    nvidia.visible_gpus.cache_clear()
    cards.this_machine.cache_clear()
