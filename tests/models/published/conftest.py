"""Tiny published models, an empty home, and a local hub."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests import fake_hub, tiny_models
from tests.fake_hub import Hub
from tests.models.published.copies import KINDS, REPOSITORIES, REVISIONS


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    return {kind: getattr(tiny_models, kind)(root / kind) for kind in KINDS}


@pytest.fixture
def copies(originals: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Copies of the models, which a test may change."""
    return {kind: Path(shutil.copytree(path, tmp_path / "copies" / kind)) for kind, path in originals.items()}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `HF_HOME`, without access to the real hub."""
    fake_hub.live_in(tmp_path / "home", monkeypatch)
    return tmp_path / "home"


@pytest.fixture
def hub(originals: dict[str, Path], home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with fake_hub.serve() as served:
        for kind, repository in REPOSITORIES.items():
            served.folders[repository, REVISIONS[kind]] = originals[kind]
            served.newest[repository] = REVISIONS[kind]
        fake_hub.live_in(home, monkeypatch, served.address)
        yield served
