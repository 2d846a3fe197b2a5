"""Train a small DiT on the VAE latents of the dataset and save it as a complete DiTPipeline folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, torch_generator
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.device import send
from uvlp.models.dit import diffusion, layout
from uvlp.models.dit.network import PATCH, DiT, initialise
from uvlp.models.training import one_cycle
from uvlp.models.training.training_state import Average
from uvlp.recipes.dit import TransformerSettings

REVISION = 2


def train(
    images: NDArray[np.uint8],
    labels: Sequence[int],
    classes: int,
    autoencoder_folder: Path,
    settings: TransformerSettings,
    seed: int,
    folder: Path,
    progress: Progress,
    partial: Path | None = None,
) -> None:
    """Train on images [N, H, W, 3] and their labels; write the averaged network and the VAE to ``folder``.

    The loss is the published one (evaluation.md 5.1): squared error of the noise and variational bound.

    Args:
        labels: one per image, below ``classes``.
        partial: folder for checkpoints (see `one_cycle.one_cycle`).

    Raises:
        UvlpError: latents that cannot be divided into patches.
    """
    device = machine.device()
    mean, deviation = Autoencoder.load(autoencoder_folder, device=device).posterior(images)
    network = _build(settings, mean, classes, seed).to(device)
    process = diffusion.chain(device=device)
    generator, of_rows = torch_generator(seed, "transformer", "batches"), torch.tensor(labels)

    def loss_of_step() -> torch.Tensor:
        rows = torch.randint(len(mean), (settings.batch,), generator=generator)
        times = torch.randint(diffusion.TRAINED_STEPS, (settings.batch,), generator=generator)
        dropped = torch.rand(settings.batch, generator=generator) < settings.label_drop
        draws = torch.randn((2, settings.batch, *mean.shape[1:]), generator=generator)
        given = send(torch.where(dropped, network.classes, of_rows[rows]), device)
        rows, times, (sample, noise) = send(rows, device), send(times, device), send(draws, device)
        clean = mean[rows] + deviation[rows] * sample
        output = network(diffusion.noised(process, clean, times, noise), times, given).float()
        losses = diffusion.training_losses(process, output, clean, noise, times)
        return (losses.mse + losses.bound).mean()

    average = Average(list(network.parameters()), settings.ema)
    one_cycle.one_cycle(
        "transformer",
        network,
        loss_of_step,
        settings,
        generator=generator,
        progress=progress,
        average=average,
        partial=partial,
    )
    average.use()
    layout.save(network.cpu(), autoencoder_folder, folder)


def _build(settings: TransformerSettings, latents: torch.Tensor, classes: int, seed: int) -> DiT:
    side = latents.shape[2]
    if side % PATCH:
        what = "setting image_px: the DiT divides latents into patches"
        allowed = f"a side that is a multiple of {PATCH}"
        raise UvlpError(what, got=f"latents of {side}x{side}", allowed=allowed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "transformer", "weights"))
        network = DiT(
            side=side,
            channels=latents.shape[1],
            classes=classes,
            width=settings.width,
            depth=settings.depth,
            heads=settings.heads,
            patch=PATCH,
        )
        initialise(network)
    return network
