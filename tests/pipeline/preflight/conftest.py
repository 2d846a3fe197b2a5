"""Commands that must fail before any work, and tiny published models."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tiny_models
from tests.pipeline.preflight.requests import Call, folder
from uvlp.cli import app
from uvlp.core.errors import UvlpError


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=["dry run", pytest.param("run", marks=pytest.mark.slow)])
def refused(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, store: Path
) -> Callable[..., UvlpError]:
    """Run a command and return the error that ends it with exit code 2 before any work."""

    def run(*arguments: str, command: str = "reproduce") -> UvlpError:
        caught: list[UvlpError] = []
        call = app._call

        def recorded() -> int:
            try:
                return call()
            except UvlpError as error:
                caught.append(error)
                raise

        monkeypatch.setattr(app, "_call", recorded)
        more = ["--dry-run"] if request.param == "dry run" else []
        monkeypatch.setattr(sys, "argv", ["uvlp", command, *arguments, *more, "--store", str(store)])
        with pytest.raises(SystemExit) as end:
            app.main()
        assert end.value.code == 2
        assert not list(store.rglob("manifest.json")), "nothing was computed"
        return caught[0]

    return run


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published")
    for kind in ("diffusion", "clip", "llava"):
        getattr(tiny_models, kind)(root / kind)
    return root


@pytest.fixture
def models(originals: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(originals, tmp_path / "models"))


@pytest.fixture
def paper(refused: Call, models: Path, tmp_path: Path) -> Call:
    """Run profile sd15 with the copies in ``models``."""
    root = folder(tmp_path / "images", classes=2, train=4, val=2)
    named = (f"diffusion={models / 'diffusion'}", f"clip=local-dir:{models / 'clip'}")
    settings = [f"--set=models.{each}" for each in (*named, f"llava={models / 'llava'}")]
    sizes = ("--set=image_px=64", "--set=finetune.resolution_px=64", "--network=convnet-3")
    return lambda *more: refused(
        *(f"folder:{root}", "1", "--profile=sd15", "--offline", "--method=uvlp", *sizes, *settings, *more)
    )
