"""Latents2Img: img2img that starts from given latents and given noise (methods.md D.2).

The stock pipeline takes 4-channel tensors as latents; only its noise is drawn inside, so that step alone is
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
    """The stock pipeline with the noise handed in; None takes the latents as they are (is_init False)."""

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
        """Latents ``image`` [B, 4, h, w] at the noise level of ``timestep`` [B]."""
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
    """Final latents [B, 4, h, w], still scaled, of a batch of prototypes.

    Args:
        pipeline: a stock pipeline; its parts are used, it is not changed but for the scheduler's state.
        latents: scaled latents [B, 4, h, w].
        noise: standard normal of that shape (``synthesis.py``); None when the latents are noised already.
        prompt_embeds, negative_embeds: text states [B, L, d] of equal length.
        strength: share of the schedule that is run, (0, 1].
        guidance: classifier-free guidance scale; up to 1 it is off, and the negative states are not used.
        steps: length of the schedule.
        mask: [B, L], 0 where a text state only fills a row up to the longest; the UNet does not see it.

    Raises:
        UvlpError: the strength leaves no step of the schedule.
    """
    # PNDM has one entry more than steps and so always one to run.
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
    """Hand the UNet a mask of its text states; the stock pipeline has no way to."""
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
