"""Latents2Img: img2img that starts from given latents and given noise (methods.md D.2).

The stock pipeline accepts 4-channel tensors as latents but draws the noise itself, so only that step is
overridden. PNDM stays one stride ahead after slicing the schedule, as in the published results (E49).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img import (
    StableDiffusionImg2ImgPipeline,
)
from diffusers.schedulers.scheduling_pndm import PNDMScheduler

from uvlp.core.errors import UvlpError


class GivenNoise(StableDiffusionImg2ImgPipeline):
    """The stock pipeline with given noise; with None the latents are used unchanged (is_init False)."""

    noise: torch.Tensor | None = None

    def prepare_latents(
        self,
        image: torch.Tensor,
        timestep: torch.Tensor,
        batch_size: int,
        num_images_per_prompt: int,
        dtype: torch.dtype,
        device: torch.device,
        generator: Any = None,
    ) -> torch.Tensor:
        """Return latents ``image`` [B, 4, h, w] at the noise level of ``timestep`` [B]."""
        latents = image.to(device=device, dtype=dtype)
        if self.noise is None:
            return latents
        return self.scheduler.add_noise(latents, self.noise.to(device=device, dtype=dtype), timestep)


def latents2img(
    pipeline: StableDiffusionImg2ImgPipeline,
    latents: torch.Tensor,
    noise: torch.Tensor | None,
    prompt_embeds: torch.Tensor,
    negative_embeds: torch.Tensor,
    strength: float,
    guidance: float,
    steps: int,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the final latents [B, 4, h, w], still scaled, of a batch of prototypes.

    Args:
        pipeline: a stock pipeline, unchanged except for the scheduler's state.
        latents: scaled latents [B, 4, h, w].
        noise: standard normal of that shape (``synthesis.py``); None if the latents already contain noise.
        prompt_embeds, negative_embeds: text states [B, L, d] of equal length.
        strength: share of the schedule that is run, (0, 1].
        guidance: classifier-free guidance scale; off up to 1, where the negative states are not used.
        steps: length of the schedule.
        mask: [B, L], 0 for padding of shorter prompts, which the UNet ignores.

    Raises:
        UvlpError: the strength leaves no step of the schedule.
    """
    # PNDM's schedule has one entry more than steps, so at least one is run.
    if int(steps * strength) < 1 and not isinstance(pipeline.scheduler, PNDMScheduler):
        raise UvlpError(
            "strength times steps",
            got=steps * strength,
            allowed="at least 1",
            fix="raise the strength, or decode the latents without synthesis",
        )
    given = GivenNoise(**pipeline.components, requires_safety_checker=False)
    given.set_progress_bar_config(disable=True)
    given.noise = noise
    guided = guidance > 1
    with _masked(given.unet, mask if mask is None or not guided else torch.cat([mask, mask])):
        return given(
            image=latents,
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_embeds if guided else None,
            strength=strength,
            guidance_scale=guidance,
            num_inference_steps=steps,
            output_type="latent",
        ).images


@contextmanager
def _masked(unet: torch.nn.Module, mask: torch.Tensor | None) -> Iterator[None]:
    """Context in which the UNet gets a mask of its text states, which the stock pipeline does not support."""
    if mask is None:
        yield
        return

    def add(_: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs | {"encoder_attention_mask": mask}

    handle = unet.register_forward_pre_hook(add, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
