"""A small dataset without captions, and the command line in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.caption_forms import TRAIN, Call
from uvlp.cli import app


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for number, name in enumerate([*(f"train/{name}" for name in TRAIN), "val/cat/9.png", "val/dog/9.png"]):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 30 * number, np.uint8)).save(path)
    return root


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run the command line in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *arguments, "--store", str(tmp_path / "store")])
        with pytest.raises(SystemExit) as end:
            app.main()
        output = capsys.readouterr()
        return int(end.value.code or 0), output.out, output.err

    return run
