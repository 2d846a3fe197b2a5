"""Fixtures: prepared data shared by all processes, and a folder for each attack."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.attack import ground
from tests.attack.ground import Attack
from tests.attack.prepared import prepare


@pytest.fixture
def attempt(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> object:
    """Run one attack and remove its folder."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if folder.name.startswith("popen-") else folder

    def make(attack: Attack) -> str:
        try:
            return ground.attempt(attack, prepare(shared, attack.needs), tmp_path / "attack")
        finally:
            shutil.rmtree(tmp_path / "attack", ignore_errors=True)

    return make
