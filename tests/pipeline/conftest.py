"""A local hub with tiny models in the format of the published ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests import fake_hub, tiny_models
from tests.fake_hub import Hub, commit

KINDS = ("diffusion", "clip", "llava", "dit", "stylegan_xl")


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("published")
    return {kind: getattr(tiny_models, kind)(root / kind) for kind in KINDS}


@pytest.fixture
def hub(originals: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with fake_hub.serve() as served:
        names = {
            "diffusion": ("some/sd", "a"),
            "clip": ("some/clip", "b"),
            "llava": ("some/llava", "c"),
            "dit": ("some/dit", "d"),
            "stylegan_xl": ("some/stylegan-xl", "e"),
        }
        for kind, (repository, digit) in names.items():
            served.folders[repository, commit(digit)] = originals[kind]
            served.newest[repository] = commit(digit)
        fake_hub.live_in(tmp_path / "home", monkeypatch, served.address)
        yield served
