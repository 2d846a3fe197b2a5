"""The stock img2img pipeline with the stub networks of the golden data (its README gives the formulas)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
)
from diffusers.configuration_utils import FrozenDict

SCALING = 0.18215
SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
}


class StubUNet(torch.nn.Module):
    """0.6x + 0.2 tanh(x) cos(t/100) + 0.1·mean of the context per batch item; keeps what it was asked."""

    config = FrozenDict(in_channels=4, sample_size=64, time_cond_proj_dim=None, _diffusers_version="0.42.1")
    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, int]] = []

    def forward(
        self, sample: torch.Tensor, timestep: torch.Tensor, encoder_hidden_states: torch.Tensor, **_: object
    ) -> tuple[torch.Tensor]:
        self.calls.append((int(timestep), len(sample)))
        context = encoder_hidden_states.mean(dim=(1, 2)).view(-1, 1, 1, 1)
        return (0.6 * sample + 0.2 * torch.tanh(sample) * torch.cos(timestep / 100) + 0.1 * context,)


class StubAutoencoder(torch.nn.Module):
    """Encodes by 8 x 8 average pooling, channels r, g, b and their mean, log-variance -6."""

    config = FrozenDict(scaling_factor=SCALING)
    dtype, device = torch.float32, torch.device("cpu")

    def encode(self, images: torch.Tensor) -> SimpleNamespace:
        pooled = torch.nn.functional.avg_pool2d(images, 8)
        mean = torch.cat([pooled, pooled.mean(dim=1, keepdim=True)], dim=1)
        parameters = torch.cat([mean, torch.full_like(mean, -6.0)], dim=1)
        return SimpleNamespace(latent_dist=SimpleNamespace(parameters=parameters))


def scheduler(name: str):
    """The scheduler of a golden case."""
    if name == "pndm":
        return PNDMScheduler(**SCHEDULE, skip_prk_steps=True, set_alpha_to_one=False)
    if name == "ddim":
        return DDIMScheduler(**SCHEDULE, set_alpha_to_one=False, clip_sample=False)
    return {"euler": EulerDiscreteScheduler, "dpm": DPMSolverMultistepScheduler}[name](**SCHEDULE)


def stub_pipeline(name: str) -> Any:
    """A pipeline of the stub UNet, a VAE that is never run and the scheduler."""
    # Eight-fold, like that of Stable Diffusion; only its configuration is asked for.
    vae = AutoencoderKL(
        block_out_channels=(1, 1, 1, 1),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=1,
        latent_channels=4,
        scaling_factor=SCALING,
    )
    return StableDiffusionImg2ImgPipeline(
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        unet=StubUNet(),
        scheduler=scheduler(name),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def decoded(latents: torch.Tensor) -> torch.Tensor:
    """The stub decoder on final latents: [B, h, w, 3] in [0, 1], every eighth pixel, one per latent."""
    image = latents[:, :3] / SCALING
    return (image / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
