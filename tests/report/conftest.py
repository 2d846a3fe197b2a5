"""Finished stores, filled once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.finished_store import fill
from uvlp.artifacts.store import Store
from uvlp.cli.commands.report import chosen, opener
from uvlp.report.pictures import Pictures
from uvlp.report.run import Run


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run of three methods on the digits; tests do not change it."""
    root = tmp_path_factory.mktemp("report") / "store"
    fill(root)
    return root


@pytest.fixture
def run(store: Path) -> Run:
    """The run of `store`."""
    (only,) = chosen([], Store(store))
    return only


@pytest.fixture
def pictures(run: Run) -> Pictures:
    """Its images, with the real digits."""
    return Pictures(run, opener(None, run.store))
