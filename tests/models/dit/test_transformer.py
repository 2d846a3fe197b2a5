"""Training of the small DiT: reproducible, resumable, with the published loss."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tolerances import rounding
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.core.seeds import torch_generator
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.dit import diffusion, layout, transformer
from uvlp.models.training import one_cycle
from uvlp.models.training.training_state import TrainingState
from uvlp.recipes.dit import TransformerSettings

SETTINGS = TransformerSettings(depth=1, width=16, heads=2, steps=3, batch=4)
LABELS = [index % 3 for index in range(12)]


def train(
    models: Path,
    images: np.ndarray,
    folder: Path,
    seed: int = 0,
    settings: TransformerSettings = SETTINGS,
    send: Callable[[Event], None] = lambda event: None,
) -> dict[str, str]:
    """Train in ``folder``, with checkpoints beside it; return the hashes of the files."""
    vae, partial = models / "autoencoder", folder.with_suffix(".partial")
    partial.mkdir(exist_ok=True)
    transformer.train(images, LABELS, 3, vae, settings, seed, folder, Progress(send), partial)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_equal_seeds_give_equal_bytes(models: Path, images: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(123)  # the global state must not matter
    first = train(models, images, tmp_path / "first")
    torch.manual_seed(4)
    assert train(models, images, tmp_path / "again") == first
    other = train(models, images, tmp_path / "other", seed=1)
    weights = "transformer/diffusion_pytorch_model.safetensors"
    assert {name for name in first if other[name] != first[name]} == {weights}


def test_a_killed_training_resumes_with_the_same_bytes(
    models: Path, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(models, images, tmp_path / "whole")
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    losses, steps = diffusion.training_losses, []

    def killed(*given: torch.Tensor) -> diffusion.Losses:
        steps.append(given)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return losses(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(diffusion, "training_losses", killed)
        with pytest.raises(KeyboardInterrupt):
            train(models, images, tmp_path / "resumed")
    messages: list[str] = []
    assert train(models, images, tmp_path / "resumed", send=lambda e: messages.append(e.message)) == expected
    assert "resuming after step 2 of 3" in messages


def test_the_loss_is_the_published_one(
    models: Path, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first update the network predicts zeros: noise 0, and v 0, between the two variances."""
    found: list[torch.Tensor] = []
    descend = one_cycle._descend

    def recorded(state: TrainingState, loss: torch.Tensor, lr: float, largest: float) -> None:
        found.append(loss.detach())
        descend(state, loss, lr, largest)

    monkeypatch.setattr(one_cycle, "_descend", recorded)
    settings = replace(SETTINGS, steps=1)
    train(models, images, tmp_path / "made", settings=settings)
    generator = torch_generator(0, "transformer", "batches")
    rows = torch.randint(len(images), (4,), generator=generator)
    times = torch.randint(1000, (4,), generator=generator)
    torch.rand(4, generator=generator)
    mean, deviation = Autoencoder.load(models / "autoencoder").posterior(images)
    sample, noise = torch.randn((2, 4, *mean.shape[1:]), generator=generator).double()
    clean = (mean[rows] + deviation[rows] * sample).double().numpy()
    expected = np.mean(
        [published_loss(x, e, int(t)) for x, e, t in zip(clean, noise.numpy(), times, strict=True)]
    )
    # Differences of logarithms of variances, up to ten, of 1,024 values, in float32.
    assert found[0].item() == pytest.approx(expected, abs=rounding(1024 + 40, largest=10.0))


def published_loss(clean: np.ndarray, noise: np.ndarray, step: int) -> float:
    """Return the squared error of no noise, and the bound of Nichol & Dhariwal with v = 0, in bits."""
    assert step > 0
    betas = np.linspace(1e-4, 0.02, 1000)
    abar = np.cumprod(1 - betas)
    before, beta = abar[step - 1], betas[step]
    noisy = np.sqrt(abar[step]) * clean + np.sqrt(1 - abar[step]) * noise
    weights = np.sqrt(before) * beta / (1 - abar[step]), np.sqrt(1 - beta) * (1 - before) / (1 - abar[step])
    true = weights[0] * clean + weights[1] * noisy
    model = weights[0] * noisy / np.sqrt(abar[step]) + weights[1] * noisy
    smallest = np.log(beta * (1 - before) / (1 - abar[step]))
    learned = (smallest + np.log(beta)) / 2
    nats = 0.5 * (learned - smallest + np.exp(smallest - learned) + (true - model) ** 2 / np.exp(learned) - 1)
    return float(np.mean(noise**2) + np.mean(nats) / np.log(2))


def test_latents_that_cannot_be_divided_are_refused(models: Path, tmp_path: Path) -> None:
    images = np.zeros((4, 34, 34, 3), np.uint8)  # the latents of this autoencoder have half the side
    with pytest.raises(UvlpError) as caught:
        train(models, images, tmp_path / "made")
    assert "image_px" in caught.value.what and caught.value.got == "latents of 17x17"


def test_the_labels_are_those_of_the_dataset(models: Path, images: np.ndarray, tmp_path: Path) -> None:
    train(models, images, tmp_path / "made")
    network = layout.load(tmp_path / "made")
    assert (network.classes, network.side, len(network.blocks)) == (3, 16, 1)
