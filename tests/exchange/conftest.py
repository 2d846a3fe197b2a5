"""A hub that takes uploads of one user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import fake_hub
from tests.fake_hub import Hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A local hub without repositories, and an empty cache; the user has a token."""
    with fake_hub.serve() as served:
        served.uploads = tmp_path / "hub"
        fake_hub.live_in(tmp_path / "home", monkeypatch, served.address)
        monkeypatch.setenv("HF_TOKEN", "hf_of_tests")
        yield served
