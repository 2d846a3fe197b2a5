"""`--finetuned-model`: checked before downloads, and refused if no method uses it."""

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

    def run(*arguments: str) -> tuple[int, str, str]:
        folders = ("--store", str(tmp_path / "store"), "--data", str(tmp_path / "data"))
        monkeypatch.setattr(sys, "argv", ["uvlp", "reproduce", "imagenette", "1", *arguments, *folders])
        with pytest.raises(SystemExit) as end:
            app.main()
        output = capsys.readouterr()
        return int(end.value.code or 0), output.out, output.err

    return run


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    folder = tmp_path / "lora"
    folder.mkdir()
    save_file({"unet.x.lora.down.weight": torch.zeros(1)}, folder / "pytorch_lora_weights.safetensors")
    return folder


@pytest.mark.parametrize("how", [["--dry-run"], ["--offline"], ["--dry-run", "--offline"], []])
@pytest.mark.parametrize("given", ["folder", "file"])
def test_wrong_folder_is_refused_before_downloads(how: list[str], given: str, call: Call, lora: Path) -> None:
    """Dataset, CLIP and autoencoder are missing too, and the hub cannot be reached."""
    path = lora if given == "folder" else next(lora.iterdir())
    code, out, err = call("--method", "uvlp", "--finetuned-model", str(path), *how)
    assert (code, out) == (2, "")
    (line,) = [line for line in err.splitlines() if line.startswith("uvlp:")]
    assert "LoRA weights, not a pipeline" in line and "fuse_lora" in line and "fetch" not in err


@pytest.mark.parametrize("setting", ["models.diffusion={}", "models.clip=local-dir:{}", "models.llava={}"])
def test_wrong_folder_of_any_model_is_refused(setting: str, call: Call, lora: Path) -> None:
    code, _, err = call("--method", "uvlp", "--set", setting.format(lora), "--dry-run")
    assert code == 2 and "this folder contains LoRA weights" in err


@pytest.mark.parametrize("arguments", [["--method", "d4m"], ["--method", "random"], ["--profile", "tiny"]])
def test_unused_finetuned_model_is_refused(arguments: list[str], call: Call, lora: Path) -> None:
    code, _, err = call("--finetuned-model", str(lora), "--dry-run", *arguments)
    assert code == 2 and "--finetuned-model: " in err and "omit it, or" in err
