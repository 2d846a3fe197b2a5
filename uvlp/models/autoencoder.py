"""AutoencoderKL of diffusers: train a small one, encode images and decode latents.

Images are uint8 [N, H, W, 3]; latents are float32 [N, 4, h, w] and already multiplied with the
model's scaling factor (methods.md A.4). The model may lie on a GPU and compute in another number type.
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
from uvlp.models import one_cycle
from uvlp.models.device import send
from uvlp.models.quiet import LOADING_ERRORS, quiet
from uvlp.recipes.schema import AutoencoderSettings

REVISION = 2
LATENT_CHANNELS = 4  # img2img takes exactly this number for latents
NORM_GROUPS = 8
INITIAL_LOG_VARIANCE = -4.0
BATCH = 64
LONGEST_PROBLEM = 300


class Autoencoder:
    """Images to latents and back."""

    def __init__(self, model: Any) -> None:
        self._model = model.eval()
        self.scaling_factor: float = model.config.scaling_factor

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
            UvlpError: the folder holds none, or weights of another architecture.
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
        # diffusers fills weights that it does not find with random numbers, and only warns.
        wrong = [*loading["missing_keys"], *loading["unexpected_keys"]]
        if wrong:
            raise _not_loaded(folder, subfolder, f"weights that do not fit: {first_few(wrong)}")
        model = model.to(device)
        return cls(model.to(memory_format=torch.channels_last) if device == "cuda" else model)

    @torch.inference_mode()
    def moments(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`posterior`, of one batch of images, uint8 [B, H, W, 3] on any device."""
        return self.moments_of_pixels(_to_pixels(images.to(self._model.device, non_blocking=True)))

    @torch.inference_mode()
    def moments_of_pixels(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`moments`, of pixels [B, 3, H, W] in [-1, 1] where the model is (methods.md A.4, D.1)."""
        # The spread of a latent is far below what float16 tells apart: from here on in float32.
        coded = self._model.encode(pixels.to(self._model.dtype)).latent_dist.parameters.float()
        found = DiagonalGaussianDistribution(coded)
        return found.mean * self.scaling_factor, found.std * self.scaling_factor

    def posterior(self, images: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of the scaled latents, each float32 [N, 4, h, w], where the model is."""
        parts = [
            self.moments(torch.from_numpy(images[start : start + BATCH]))
            for start in range(0, len(images), BATCH)
        ]
        return torch.cat([mean for mean, _ in parts]), torch.cat([deviation for _, deviation in parts])

    @torch.inference_mode()
    def pixels(self, latents: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Decoded latents [N, 3, H, W], about [-1, 1], in the model's type or for once in another one."""
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


def to_bytes(pixels: torch.Tensor) -> NDArray[np.uint8]:
    """uint8 [N, H, W, 3] of pixels [N, 3, H, W] in [-1, 1], cut to that range (methods.md A.13).

    Computed in the type of the pixels, as the reference does in float16, but for bfloat16: it could not
    hold the half that rounding adds.
    """
    if pixels.dtype == torch.bfloat16:
        pixels = pixels.float()
    return quantise((pixels / 2 + 0.5).clamp(0, 1))


def quantise(images: torch.Tensor) -> NDArray[np.uint8]:
    """Bytes of a PNG, uint8 [N, H, W, 3], from [N, 3, H, W] in [0, 1]: clamp(255x + 0.5) cut off.

    Computed in the type of the input, as the reference does (float16 on a GPU).
    """
    levels = (255 * images + 0.5).clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def train(
    images: NDArray[np.uint8],
    settings: AutoencoderSettings,
    seed: int,
    folder: Path,
    progress: Progress,
    partial: Path | None = None,
) -> None:
    """Train an AutoencoderKL from scratch on images [N, H, W, 3] and save it into ``folder``.

    The scaling factor is registered so that the training latents have standard deviation one.

    Args:
        partial: where checkpoints are kept (see `one_cycle.one_cycle`).
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
    # From the usual start at log variance 0 a short training never gets rid of its own noise: 2 dB worse.
    with torch.no_grad():
        model.quant_conv.bias[LATENT_CHANNELS:] += INITIAL_LOG_VARIANCE
    return model


def _to_pixels(images: torch.Tensor) -> torch.Tensor:
    """Float32 [N, 3, H, W] in [-1, 1] of uint8 [N, H, W, 3]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def _not_loaded(folder: Path | str, subfolder: str, problem: str) -> UvlpError:
    return UvlpError(
        f"no autoencoder can be loaded from {Path(folder, subfolder)}",
        got=shorten(problem, LONGEST_PROBLEM, placeholder=" ..."),
        allowed="a diffusers AutoencoderKL: config.json and the safetensors that belong to it",
    )
