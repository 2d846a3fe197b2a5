"""The calm store, made once, and a copy of it for each test."""

import shutil
from pathlib import Path

import pytest

from tests.pipeline.verification.ground import fill


@pytest.fixture(scope="package")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nobody may change it."""
    root = tmp_path_factory.mktemp("calm") / "store"
    fill(root)
    return root


@pytest.fixture
def root(calm: Path, tmp_path: Path) -> Path:
    """A copy."""
    return Path(shutil.copytree(calm, tmp_path / "store"))
