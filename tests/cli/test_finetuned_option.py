"""`--finetuned-model`: looked at before anything is fetched, and refused where nothing reads it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests import fake_hub
from uvlp.cli import app

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    fake_hub.live_in(tmp_path / "home", monkeypatch)

    def run(*words: str) -> tuple[int, str, str]:
        place = ("--store", str(tmp_path / "store"), "--data", str(tmp_path / "data"))
        monkeypatch.setattr(sys, "argv", ["uvlp", "reproduce", "imagenette", "1", *words, *place])
        with pytest.raises(SystemExit) as end:
            app.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    folder = tmp_path / "lora"
    folder.mkdir()
    save_file({"unet.x.lora.down.weight": torch.zeros(1)}, folder / "pytorch_lora_weights.safetensors")
    return folder


@pytest.mark.parametrize("how", [["--dry-run"], ["--offline"], ["--dry-run", "--offline"], []])
@pytest.mark.parametrize("given", ["folder", "file"])
def test_a_wrong_folder_stops_before_anything_is_fetched(
    how: list[str], given: str, call: Call, lora: Path
) -> None:
    """Dataset, CLIP and autoencoder are missing too, and the hub cannot be reached."""
    path = lora if given == "folder" else next(lora.iterdir())
    code, out, err = call("--method", "uvlp", "--finetuned-model", str(path), *how)
    assert (code, out) == (2, "")
    (line,) = [line for line in err.splitlines() if line.startswith("uvlp:")]
    assert "LoRA weights, not a pipeline" in line and "fuse_lora" in line and "fetch" not in err


@pytest.mark.parametrize("setting", ["models.diffusion={}", "models.clip=local-dir:{}", "models.llava={}"])
def test_so_does_a_wrong_folder_of_any_model(setting: str, call: Call, lora: Path) -> None:
    code, _, err = call("--method", "uvlp", "--set", setting.format(lora), "--dry-run")
    assert code == 2 and "this folder holds LoRA weights" in err


@pytest.mark.parametrize("words", [["--method", "d4m"], ["--method", "random"], ["--profile", "tiny"]])
def test_where_nothing_reads_it_it_is_refused(words: list[str], call: Call, lora: Path) -> None:
    code, _, err = call("--finetuned-model", str(lora), "--dry-run", *words)
    assert code == 2 and "--finetuned-model: " in err and "leave it out, or" in err
