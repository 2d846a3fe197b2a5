"""Clear cached facts about the machine for every test, since each fakes its own driver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from uvlp.core import nvidia
from uvlp.pipeline.estimates import cards


@pytest.fixture(autouse=True)
def clear_caches() -> Iterator[None]:
    _clear()  # filled by dry runs of other tests in the same process
    yield
    _clear()


def _clear() -> None:
    nvidia.visible_gpus.cache_clear()
    cards.this_machine.cache_clear()
