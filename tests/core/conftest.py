"""A pretended driver with pretended cards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pretend_cards import Driver
from uvlp.core import nvidia


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    yield Driver(tmp_path, monkeypatch)
    nvidia.visible_gpus.cache_clear()
