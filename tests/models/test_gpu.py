"""The small models on an NVIDIA GPU: they learn in mixed precision, repeat their bits and agree with a CPU.

python -m pytest -m gpu tests/models/test_gpu.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.image_features import image_features
from tests.models.conftest import AUTOENCODER, DIFFUSER, EMBEDDER
from uvlp.core import machine
from uvlp.core.progress import Progress
from uvlp.models import autoencoder, diffuser, embedder, one_cycle
from uvlp.models.embedder import Embedder

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    pytest.mark.filterwarnings("default::UserWarning"),  # CUDA's libraries have their own
]

WEIGHTS = {
    "embedder": "embedder/open_clip_model.safetensors",
    "autoencoder": "autoencoder/diffusion_pytorch_model.safetensors",
    "diffuser": "diffuser/unet/diffusion_pytorch_model.safetensors",
}
Train = Callable[..., dict[str, dict[str, torch.Tensor]]]


@pytest.fixture
def train(images: np.ndarray, texts: list[str]) -> Train:
    """Train the three parts into a folder and give their weights."""

    def run(folder: Path, partial: Path | None = None, **changes: Any) -> dict[str, dict[str, torch.Tensor]]:
        clip, coder = folder / "embedder", folder / "autoencoder"
        embedder.train(images, texts, replace(EMBEDDER, **changes), 0, clip, Progress(), partial=partial)
        autoencoder.train(images, replace(AUTOENCODER, **changes), 0, coder, Progress(), partial=partial)
        diffuser.train(
            images,
            texts,
            clip,
            coder,
            replace(DIFFUSER, **changes),
            0,
            folder / "diffuser",
            Progress(),
            partial,
        )
        return {part: load_file(folder / name) for part, name in WEIGHTS.items()}

    return run


def distance(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    assert first.keys() == second.keys()
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)


def test_mixed_precision_leaves_float32_weights_that_a_cpu_can_use(
    train: Train, tmp_path: Path, images: np.ndarray
) -> None:
    machine.release_gpu()
    for state in train(tmp_path, precision="auto", steps=4).values():
        assert {tensor.dtype for tensor in state.values()} <= {torch.float32, torch.int64}
        assert all(bool(tensor.isfinite().all()) for tensor in state.values())
    peak = machine.gpu_peak_memory_mb()
    assert peak is not None and peak > 0
    assert np.isfinite(image_features(Embedder.load(tmp_path / "embedder"), images)).all()


def test_the_same_bits_every_time(train: Train, tmp_path: Path) -> None:
    first = train(tmp_path / "a", precision="auto", steps=4)
    second = train(tmp_path / "b", precision="auto", steps=4)
    assert {part: distance(first[part], second[part]) for part in first} == dict.fromkeys(first, 0.0)


def test_float32_agrees_with_a_cpu(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one step, in which AdamW moves every weight by at most its rate."""
    lr = 1e-3
    there = train(tmp_path / "gpu", steps=1, lr=lr)
    monkeypatch.setattr(machine, "device", lambda: "cpu")
    here = train(tmp_path / "cpu", steps=1, lr=lr)
    for part in here:
        assert distance(here[part], there[part]) <= 2.1 * lr


def test_an_interrupted_training_goes_on_to_the_same_bits(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole", precision="auto", steps=4)
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    partial = tmp_path / "partial"
    partial.mkdir()
    # What lies there after a finished training is the state before its last step.
    train(tmp_path / "first", partial, precision="auto", steps=4)
    again = train(tmp_path / "again", partial, precision="auto", steps=4)
    assert {part: distance(whole[part], again[part]) for part in whole} == dict.fromkeys(whole, 0.0)


def test_a_loss_that_is_no_number_is_found_without_waiting_at_every_step(
    train: Train, tmp_path: Path
) -> None:
    from uvlp.core.errors import UvlpError

    with pytest.raises(UvlpError, match="is not a number: one of the steps 1 to"):
        train(tmp_path, lr=1e30, steps=60)
