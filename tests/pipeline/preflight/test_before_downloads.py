"""Errors that are known from settings and dataset are reported before downloads."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from tests import fake_hub
from tests.pipeline.preflight.requests import Call, folder


def test_unusable_network_is_refused_before_downloads(refused: Call, tmp_path: Path) -> None:
    error = refused("imagenette", "10", "--data", str(tmp_path), "--offline", "--network=convnet-8")
    assert error.what == "convnet-8 is too deep for images of 224 px"


MACHINE = [
    ("caption.quantise=4bit", "loading LLaVA in 4 bits needs a GPU"),
    ("models.precision=float16", "unsupported precision on cpu"),
    ("finetune.center_crop=false", "setting finetune.cache_latents with random crops"),
]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may have what these settings need")
@pytest.mark.parametrize(("setting", "what"), MACHINE)
def test_settings_that_need_a_gpu_are_refused(setting: str, what: str, paper: Call) -> None:
    assert paper(f"--set={setting}").what.startswith(what)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may have what these settings need")
@pytest.mark.parametrize(("setting", "what"), MACHINE)
def test_settings_that_need_a_gpu_are_refused_before_downloads(
    setting: str, what: str, refused: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub.live_in(tmp_path / "home", monkeypatch)
    root = folder(tmp_path / "images", classes=2, train=4, val=2)
    arguments = (f"folder:{root}", "1", "--profile=sd15", "--offline", "--method=uvlp")
    assert refused(*arguments, f"--set={setting}").what.startswith(what)


ALL_BUT_ONE = '{"file_name": "class0/0.png", "text": "x"}\n'
UNFETCHED: Mapping[str, tuple[str, ...]] = {
    "too few classes to classify": ("--method=uvlp",),
    "IPC is above the smallest class": ("--method=vlcp", "9"),
    "missing captions": ("--method=vlcp", "--missing-captions=stop"),
    "too few images in a class after dropping its last partial batch": (
        *("--method=d4m:reference-flush", "--set=d4m.km_expand=1000"),
    ),
    "image too small for resnet-ap-10": (
        *("--method=uvlp,herding", "--set=herding.features=network"),
        *("--set=evaluate.size_px=4", "--network=convnet-1"),
    ),
    "torchvision publishes no weights for this network": (
        *("--method=uvlp", "--protocol=rded", "--network=conv3", "--set=teacher.source=torchvision"),
    ),
    "a batch of one image is too small": (
        *("--method=uvlp", "--network=resnet-10", "--set=evaluate.size_px=8", "--set=evaluate.batch=1"),
    ),
}


@pytest.mark.parametrize("what", UNFETCHED)
def test_errors_of_the_dataset_are_reported_before_downloads(
    what: str, refused: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub.live_in(tmp_path / "home", monkeypatch)
    classes = 1 if what == "too few classes to classify" else 2
    root = folder(tmp_path / "images", classes=classes, train=4, val=2)
    if what == "missing captions":
        (root / "train" / "metadata.jsonl").write_text(ALL_BUT_ONE, encoding="utf-8")
    more = [each for each in UNFETCHED[what] if each.startswith("-")]
    ipc = next((each for each in UNFETCHED[what] if each not in more), "1")
    error = refused(f"folder:{root}", ipc, "--profile=sd15", "--offline", *more)
    assert what in error.what if what != "missing captions" else "7 of 8" in f"{error.what} {error.got}"


@pytest.mark.parametrize("form", ["", "local-dir:"])
def test_torchscript_clip_is_refused_before_downloads(
    form: str, refused: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI publishes CLIP as a zip file with a program and its constants."""
    fake_hub.live_in(tmp_path / "home", monkeypatch)
    root, path = folder(tmp_path / "images", classes=2, train=4, val=2), tmp_path / "ViT-L-14.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "code/__torch__.py", "data/0", "constants.pkl", "version"):
            archive.writestr(f"ViT-L-14/{name}", b"x")
    arguments = (f"folder:{root}", "1", "--profile=sd15", "--offline", "--method=uvlp")
    error = refused(*arguments, f"--set=models.clip={form}{path}")
    assert "a TorchScript archive" in error.what and error.got == str(path)
    assert "models.clip=openai" in str(error.fix)


TORCHVISION = ("--protocol=rded", "--network=resnet18", "--set=teacher.source=torchvision")
UNOPENED: Mapping[str, tuple[str, ...]] = {
    "reproduce": ("imagenette", "10", "--method=random", *TORCHVISION),
    "teacher": ("imagenette", "resnet18", "--checkpoint=torchvision"),
}


@pytest.mark.parametrize("command", UNOPENED)
def test_errors_of_a_named_dataset_are_reported_before_its_download(
    command: str, refused: Call, tmp_path: Path
) -> None:
    error = refused(*UNOPENED[command], "--data", str(tmp_path), "--offline", command=command)
    assert (error.what, error.got) == ("classes of a dataset for torchvision's weights", 10)
