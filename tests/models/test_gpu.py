"""The small models on an NVIDIA GPU: mixed precision, determinism, and agreement with a CPU.

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
from uvlp.models import autoencoder, diffuser, embedder
from uvlp.models.embedder import Embedder
from uvlp.models.training import one_cycle

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    pytest.mark.filterwarnings("default::UserWarning"),  # CUDA's libraries emit some
]

WEIGHTS = {
    "embedder": "embedder/open_clip_model.safetensors",
    "autoencoder": "autoencoder/diffusion_pytorch_model.safetensors",
    "diffuser": "diffuser/unet/diffusion_pytorch_model.safetensors",
}
Train = Callable[..., dict[str, dict[str, torch.Tensor]]]


@pytest.fixture
def train(images: np.ndarray, texts: list[str]) -> Train:
    """Return a function that trains the three models and returns their weights."""

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


def test_mixed_precision_saves_finite_float32_weights(
    train: Train, tmp_path: Path, images: np.ndarray
) -> None:
    machine.release_gpu()
    for state in train(tmp_path, precision="auto", steps=4).values():
        assert {tensor.dtype for tensor in state.values()} <= {torch.float32, torch.int64}
        assert all(bool(tensor.isfinite().all()) for tensor in state.values())
    peak = machine.gpu_peak_memory_mb()
    assert peak is not None and peak > 0
    assert np.isfinite(image_features(Embedder.load(tmp_path / "embedder"), images)).all()


def test_training_is_deterministic(train: Train, tmp_path: Path) -> None:
    first = train(tmp_path / "a", precision="auto", steps=4)
    second = train(tmp_path / "b", precision="auto", steps=4)
    assert {part: distance(first[part], second[part]) for part in first} == dict.fromkeys(first, 0.0)


def test_float32_agrees_with_a_cpu(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one step, in which AdamW changes every weight by at most the learning rate."""
    lr = 1e-3
    on_gpu = train(tmp_path / "gpu", steps=1, lr=lr)
    monkeypatch.setattr(machine, "device", lambda: "cpu")
    on_cpu = train(tmp_path / "cpu", steps=1, lr=lr)
    for part in on_cpu:
        assert distance(on_cpu[part], on_gpu[part]) <= 2.1 * lr


def test_a_resumed_training_gives_the_same_bits(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = train(tmp_path / "uninterrupted", precision="auto", steps=4)
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    partial = tmp_path / "partial"
    partial.mkdir()
    # A finished training leaves the state before its last step.
    train(tmp_path / "first", partial, precision="auto", steps=4)
    resumed = train(tmp_path / "resumed", partial, precision="auto", steps=4)
    distances = {part: distance(uninterrupted[part], resumed[part]) for part in uninterrupted}
    assert distances == dict.fromkeys(uninterrupted, 0.0)


def test_a_loss_that_is_not_finite_is_detected_at_the_next_check(train: Train, tmp_path: Path) -> None:
    from uvlp.core.errors import UvlpError

    with pytest.raises(UvlpError) as caught:
        train(tmp_path, lr=1e30, steps=60)
    assert "not finite: one of the steps 1 to" in caught.value.what
