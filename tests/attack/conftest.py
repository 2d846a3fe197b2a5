"""Attacks in tests: one ground for all processes, one folder for each attack."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.attack import ground
from tests.attack.ground import Attack
from tests.attack.prepared import prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that attacks are copied from."""
    folder = tmp_path_factory.getbasetemp()
    return prepare(folder.parent if folder.name.startswith("popen-") else folder)


@pytest.fixture
def attempt(prepared: Path, tmp_path: Path) -> object:
    """Make one attack and remove its folder."""

    def make(attack: Attack) -> str:
        try:
            return ground.attempt(attack, prepared, tmp_path / "attack")
        finally:
            shutil.rmtree(tmp_path / "attack", ignore_errors=True)

    return make
