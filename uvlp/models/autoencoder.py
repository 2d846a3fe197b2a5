"""AutoencoderKL of diffusers: train a small one, encode images and decode latents.

Images are uint8 [N, H, W, 3]; latents are float32 [N, 4, h, w], already multiplied by the model's
scaling factor (methods.md A.4). The model may be on a GPU and compute in another dtype.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from numpy.typing import NDArray

from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, torch_generator
from uvlp.core.square_roots import square_root
from uvlp.core.wording import first_few
from uvlp.models.device import send
from uvlp.models.quiet import LOADING_ERRORS, quiet
from uvlp.models.training import one_cycle
from uvlp.recipes.schema import AutoencoderSettings

REVISION = 2
LATENT_CHANNELS = 4  # img2img treats exactly this number of channels as latents
NORM_GROUPS = 8
INITIAL_LOG_VARIANCE = -4.0
BATCH = 64
LONGEST_PROBLEM = 300


class Autoencoder:
    """Encodes images to latents and decodes latents to images."""

    def __init__(self, model: Any) -> None:
        self._model = model.eval()
        self.scaling_factor: float = model.config.scaling_factor

    @property
    def model(self) -> Any:
        """The AutoencoderKL of diffusers, in evaluation mode."""
        return self._model

    @classmethod
    def load(
        cls,
        folder: Path | str,
        subfolder: str = "",
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Autoencoder:
        """Load a diffusers AutoencoderKL, e.g. ``load(pipeline_folder, "vae", "cuda", torch.float16)``.

        Raises:
            UvlpError: the folder has none, or weights of another architecture.
        """
        try:
            with quiet():
                model, loading = AutoencoderKL.from_pretrained(
                    folder,
                    subfolder=subfolder or None,
                    local_files_only=True,
                    use_safetensors=True,
                    dtype=dtype,
                    output_loading_info=True,
                )
        except LOADING_ERRORS as error:
            raise _not_loaded(folder, subfolder, str(error)) from error
        # diffusers initialises missing weights at random and only warns.
        wrong = [*loading["missing_keys"], *loading["unexpected_keys"]]
        if wrong:
            raise _not_loaded(folder, subfolder, f"weights that do not fit: {first_few(wrong)}")
        model = model.to(device)
        return cls(model.to(memory_format=torch.channels_last) if device == "cuda" else model)

    @torch.inference_mode()
    def moments(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`posterior` of one batch of images, uint8 [B, H, W, 3] on any device."""
        return self.moments_of_pixels(_to_pixels(images.to(self._model.device, non_blocking=True)))

    @torch.inference_mode()
    def moments_of_pixels(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`moments` of pixels [B, 3, H, W] in [-1, 1] on the model's device (methods.md A.4, D.1)."""
        # A latent's standard deviation is below the resolution of float16: continue in float32.
        parameters = self._model.encode(pixels.to(self._model.dtype)).latent_dist.parameters.float()
        posterior = DiagonalGaussianDistribution(parameters)
        return posterior.mean * self.scaling_factor, posterior.std * self.scaling_factor

    def posterior(self, images: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of the scaled latents, float32 [N, 4, h, w], on its device."""
        parts = [
            self.moments(torch.from_numpy(images[start : start + BATCH]))
            for start in range(0, len(images), BATCH)
        ]
        return torch.cat([mean for mean, _ in parts]), torch.cat([deviation for _, deviation in parts])

    @torch.inference_mode()
    def pixels(self, latents: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Decode latents to [N, 3, H, W], about [-1, 1], in the model's dtype or temporarily in another."""
        own = self._model.dtype
        if dtype not in (None, own):
            with quiet():
                self._model.to(dtype)
                try:
                    return self.pixels(latents)
                finally:
                    self._model.to(own)
        scaled = latents.to(self._model.device, own)
        return self._model.decode(scaled / self.scaling_factor).sample


def train(
    images: NDArray[np.uint8],
    settings: AutoencoderSettings,
    seed: int,
    folder: Path,
    progress: Progress,
    partial: Path | None = None,
) -> None:
    """Train an AutoencoderKL from scratch on images [N, H, W, 3] and save it to ``folder``.

    The scaling factor is chosen such that the training latents have standard deviation one.

    Args:
        partial: folder for checkpoints (see `one_cycle.one_cycle`).
    """
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "autoencoder", "weights"))
        model = _build(settings, images.shape[1])
    generator = torch_generator(seed, "autoencoder", "batches")
    device = machine.device()
    one_cycle.to_device(model, device)
    data = send(images, device)

    def loss_of_step() -> torch.Tensor:
        rows = torch.randint(len(data), (settings.batch,), generator=generator)
        pixels = _to_pixels(data[send(rows, device)])
        posterior = model.encode(pixels).latent_dist
        noise = send(torch.randn(posterior.mean.shape, generator=generator), device)
        decoded = model.decode(posterior.mean + posterior.std * noise).sample
        return torch.nn.functional.mse_loss(decoded, pixels) + settings.kl_weight * posterior.kl().mean()

    model.train()
    one_cycle.one_cycle(
        "autoencoder", model, loss_of_step, settings, generator=generator, progress=progress, partial=partial
    )
    mean, deviation = Autoencoder(model).posterior(images)
    spread = square_root(mean.var() + (deviation**2).mean()).item()
    model.register_to_config(scaling_factor=model.config.scaling_factor / spread)
    one_cycle.to_device(model, "cpu")
    model.save_pretrained(folder)


def _build(settings: AutoencoderSettings, side_px: int) -> Any:
    levels = len(settings.channels)
    model = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=settings.channels,
        layers_per_block=settings.layers,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=NORM_GROUPS,
        sample_size=side_px,
        scaling_factor=1.0,
        mid_block_add_attention=False,
    )
    # From the usual initial log variance of 0, a short training does not reduce the noise enough: 2 dB worse.
    with torch.no_grad():
        model.quant_conv.bias[LATENT_CHANNELS:] += INITIAL_LOG_VARIANCE
    return model


def _to_pixels(images: torch.Tensor) -> torch.Tensor:
    """Convert uint8 [N, H, W, 3] to float32 [N, 3, H, W] in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def _not_loaded(folder: Path | str, subfolder: str, problem: str) -> UvlpError:
    return UvlpError(
        f"cannot load an autoencoder from {Path(folder, subfolder)}",
        got=shorten(problem, LONGEST_PROBLEM, placeholder=" ..."),
        allowed="a diffusers AutoencoderKL: config.json and matching safetensors",
    )
