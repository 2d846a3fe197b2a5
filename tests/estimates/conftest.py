"""Planning reads a plug-in's source for every task: here once in a session."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from uvlp.core import plugins


@pytest.fixture(autouse=True, scope="session")
def read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "revision", cache(plugins.revision))
        yield
