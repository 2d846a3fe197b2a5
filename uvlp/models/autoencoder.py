"""AutoencoderKL of diffusers: train a small one, encode images and decode latents.

Images are uint8 [N, H, W, 3]; latents are float32 [N, 4, h, w] and already multiplied with the
model's scaling factor (methods.md A.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, torch_generator
from uvlp.models.quiet import quiet
from uvlp.models.training import one_cycle
from uvlp.recipes.schema import AutoencoderSettings

REVISION = 1
LATENT_CHANNELS = 4  # img2img takes exactly this number for latents
NORM_GROUPS = 8
INITIAL_LOG_VARIANCE = -4.0
BATCH = 64


class Autoencoder:
    """Images to latents and back."""

    def __init__(self, model: Any) -> None:
        self._model = model.eval()
        self.scaling_factor: float = model.config.scaling_factor

    @classmethod
    def load(cls, folder: Path | str, subfolder: str = "") -> Autoencoder:
        """Load a diffusers AutoencoderKL, e.g. ``load(pipeline_folder, "vae")``, in float32."""
        with quiet():
            model = AutoencoderKL.from_pretrained(
                folder,
                subfolder=subfolder or None,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
            )
        return cls(model)

    @torch.inference_mode()
    def posterior(self, images: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the scaled latents, each float32 [N, 4, h, w]."""
        found = [
            self._model.encode(_to_pixels(images[start : start + BATCH])).latent_dist
            for start in range(0, len(images), BATCH)
        ]
        mean, deviation = torch.cat([part.mean for part in found]), torch.cat([part.std for part in found])
        return mean * self.scaling_factor, deviation * self.scaling_factor

    def encode(self, images: NDArray[np.uint8], generators: Sequence[torch.Generator]) -> torch.Tensor:
        """A random sample of the posterior per image, drawn from that image's own generator."""
        assert len(images) == len(generators)
        mean, deviation = self.posterior(images)
        shape = mean.shape[1:]
        noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
        return mean + deviation * noise

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> NDArray[np.uint8]:
        """Images of scaled latents; values are cut to [0, 1] and rounded to bytes (methods.md A.13)."""
        parts = [
            self._model.decode(latents[start : start + BATCH] / self.scaling_factor).sample
            for start in range(0, len(latents), BATCH)
        ]
        unit = (torch.cat(parts) / 2 + 0.5).clamp(0, 1)
        levels = (255 * unit + 0.5).clamp(0, 255).to(torch.uint8)
        return levels.permute(0, 2, 3, 1).contiguous().numpy()


def train(
    images: NDArray[np.uint8], settings: AutoencoderSettings, seed: int, folder: Path, progress: Progress
) -> None:
    """Train an AutoencoderKL from scratch on images [N, H, W, 3] and save it into ``folder``.

    The scaling factor is registered so that the training latents have standard deviation one.
    """
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "autoencoder", "weights"))
        model = _build(settings, images.shape[1])
    generator = torch_generator(seed, "autoencoder", "batches")

    def loss_of_step() -> torch.Tensor:
        rows = torch.randint(len(images), (settings.batch,), generator=generator)
        pixels = _to_pixels(images[rows.numpy()])
        posterior = model.encode(pixels).latent_dist
        decoded = model.decode(posterior.sample(generator)).sample
        return torch.nn.functional.mse_loss(decoded, pixels) + settings.kl_weight * posterior.kl().mean()

    model.train()
    one_cycle(
        "autoencoder",
        model.parameters(),
        loss_of_step,
        steps=settings.steps,
        lr=settings.lr,
        progress=progress,
    )
    mean, deviation = Autoencoder(model).posterior(images)
    spread = (mean.var() + (deviation**2).mean()).sqrt().item()
    model.register_to_config(scaling_factor=model.config.scaling_factor / spread)
    model.save_pretrained(folder)


def _build(settings: AutoencoderSettings, side_px: int) -> Any:
    levels = len(settings.channels)
    model = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=settings.channels,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=NORM_GROUPS,
        sample_size=side_px,
        scaling_factor=1.0,
        mid_block_add_attention=False,
    )
    # From the usual start at log variance 0 a short training never gets rid of its own noise: 2 dB worse.
    with torch.no_grad():
        model.quant_conv.bias[LATENT_CHANNELS:] += INITIAL_LOG_VARIANCE
    return model


def _to_pixels(images: NDArray[np.uint8]) -> torch.Tensor:
    """Float32 [N, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
