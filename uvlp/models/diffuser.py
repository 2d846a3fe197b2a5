"""Train a small UNet2DConditionModel and save it as a complete, standard Stable Diffusion folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from numpy.typing import NDArray
from transformers import CLIPTokenizer

from uvlp.core import machine
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, torch_generator
from uvlp.core.square_roots import with_square_roots
from uvlp.models import text_tower
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.device import send
from uvlp.models.quiet import quiet
from uvlp.models.training import one_cycle
from uvlp.models.training.training_state import Average
from uvlp.recipes.schema import DiffuserSettings

REVISION = 2
NORM_GROUPS = 16
HEADS = 4
TEXT_BATCH = 64


def train(
    images: NDArray[np.uint8],
    captions: Sequence[str],
    embedder_folder: Path,
    autoencoder_folder: Path,
    settings: DiffuserSettings,
    seed: int,
    folder: Path,
    progress: Progress,
    partial: Path | None = None,
) -> None:
    """Train on images [N, H, W, 3] and captions; write a complete pipeline to ``folder``.

    The text encoder (the frozen text tower of the embedder), tokenizer and autoencoder are copied into it.

    Args:
        partial: folder for checkpoints (see `one_cycle.one_cycle`).
    """
    device = machine.device()
    with quiet():
        tokenizer = CLIPTokenizer.from_pretrained(embedder_folder, local_files_only=True)
        vae = AutoencoderKL.from_pretrained(autoencoder_folder, local_files_only=True, use_safetensors=True)
    vae.register_to_config(_name_or_path="")  # otherwise the saved bytes depend on the path of the input
    text_encoder = text_tower.from_open_clip(embedder_folder)
    states, which = _text_states(captions, tokenizer, text_encoder.to(device))
    latents = Autoencoder(one_cycle.to_device(vae, device)).posterior(images)
    unet = _train_unet(latents, states, which, settings, seed, progress, partial)
    for model in (vae, text_encoder, unet):
        one_cycle.to_device(model, "cpu")
    with quiet():
        pipeline: Any = StableDiffusionPipeline(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=stable_diffusion_scheduler(),
            safety_checker=None,
            feature_extractor=None,
            image_encoder=None,
            requires_safety_checker=False,
        )
        pipeline.save_pretrained(folder)


def stable_diffusion_scheduler() -> Any:
    """Return PNDM as configured in Stable Diffusion 1.5 (methods.md D.3)."""
    return PNDMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def _text_states(captions: Sequence[str], tokenizer: Any, encoder: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return text states [U, L, D] of the empty text and each unique caption, and the row of each image.

    The states are on the encoder's device, the rows on the CPU, where batches are drawn.
    """
    unique = ["", *dict.fromkeys(captions)]
    row = {text: index for index, text in enumerate(unique)}
    ids = tokenizer(unique, padding="max_length", truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        states = torch.cat(
            [encoder(send(part, encoder.device)).last_hidden_state for part in ids.split(TEXT_BATCH)]
        )
    return states, torch.tensor([row[text] for text in captions])


def _train_unet(
    latents: tuple[torch.Tensor, torch.Tensor],
    states: torch.Tensor,
    which: torch.Tensor,
    settings: DiffuserSettings,
    seed: int,
    progress: Progress,
    partial: Path | None,
) -> Any:
    """Train noise prediction on new posterior samples; return the model with averaged weights."""
    mean, deviation = latents
    device = mean.device.type
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "diffuser", "weights"))
        unet = _build(settings, mean.shape[2], states.shape[2])
    one_cycle.to_device(unet, device)
    noise_levels = with_square_roots(PNDMScheduler).from_config(stable_diffusion_scheduler().config)
    generator = torch_generator(seed, "diffuser", "batches")

    def loss_of_step() -> torch.Tensor:
        rows = torch.randint(len(mean), (settings.batch,), generator=generator)
        times = torch.randint(1000, (settings.batch,), generator=generator)
        dropped = torch.rand(settings.batch, generator=generator) < settings.caption_drop
        draws = torch.randn((2, settings.batch, *mean.shape[1:]), generator=generator)
        texts = send(torch.where(dropped, 0, which[rows]), device)
        rows, times, (sample, noise) = send(rows, device), send(times, device), send(draws, device)
        noisy = noise_levels.add_noise(mean[rows] + deviation[rows] * sample, noise, times)
        return torch.nn.functional.mse_loss(unet(noisy, times, states[texts]).sample, noise)

    average = Average(list(unet.parameters()), settings.ema)
    one_cycle.one_cycle(
        "diffuser",
        unet,
        loss_of_step,
        settings,
        generator=generator,
        progress=progress,
        average=average,
        partial=partial,
    )
    average.use()
    return unet.eval()


def _build(settings: DiffuserSettings, side: int, text_width: int) -> Any:
    """Build a UNet with attention to the text only at the lowest levels; at all levels it is half as fast."""
    attending = settings.attention_levels
    plain_levels = len(settings.channels) - attending
    return UNet2DConditionModel(
        sample_size=side,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D",) * plain_levels + ("CrossAttnDownBlock2D",) * attending,
        up_block_types=("CrossAttnUpBlock2D",) * attending + ("UpBlock2D",) * plain_levels,
        block_out_channels=settings.channels,
        layers_per_block=settings.layers,
        cross_attention_dim=text_width,
        attention_head_dim=HEADS,  # diffusers reads this as the number of heads
        norm_num_groups=NORM_GROUPS,
    )
