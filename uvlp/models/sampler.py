"""Images from prototypes: the stock img2img pipeline, started from given latents and given noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
)
from numpy.typing import NDArray

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.quiet import quiet
from uvlp.recipes.schema import SynthesisSettings

SCHEDULERS = {"pndm": PNDMScheduler, "ddim": DDIMScheduler, "dpm++": DPMSolverMultistepScheduler}


class Sampler:
    """A Stable Diffusion folder, ready to synthesise (methods.md A.12, B.6)."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._saved_schedule = dict(pipeline.scheduler.config)
        self._autoencoder = Autoencoder(pipeline.vae)

    @classmethod
    def load(cls, folder: Path | str) -> Sampler:
        """Load the folder offline, in float32 and without a safety checker, which would blacken images."""
        with quiet():
            pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                safety_checker=None,
                requires_safety_checker=False,
                dtype=torch.float32,
            )
        pipeline.set_progress_bar_config(disable=True)
        return cls(pipeline)

    def synthesise(
        self,
        latents: torch.Tensor,
        noise: torch.Tensor,
        prompts: Sequence[str],
        settings: SynthesisSettings,
        long_prompts: bool,
        where: str,
    ) -> NDArray[np.uint8]:
        """Images uint8 [B, H, W, 3] of scaled latents [B, 4, h, w], noise of that shape and B prompts.

        A strength of less than one step decodes the latents unchanged.

        Args:
            long_prompts: embed without padding and cutting, as VLCP does (methods.md B.6).
            where: the classes and slots of this batch, for the error message.

        Raises:
            UvlpError: unknown scheduler, or a result that is not a finite number.
        """
        assert latents.shape == noise.shape and len(latents) == len(prompts)
        if int(settings.steps * settings.strength) < 1:
            return self._autoencoder.decode(latents)
        self._pipeline.scheduler = self._scheduler(settings.scheduler)
        final = torch.empty_like(latents)
        with quiet(), torch.inference_mode():
            for rows, positive, negative in self._embeddings(prompts, settings.negative_prompt, long_prompts):
                final[rows] = self._denoise(latents[rows], noise[rows], positive, negative, settings)
        if not torch.isfinite(final).all():
            raise UvlpError(f"the diffuser gave a value that is not a number: {where}", do="train it again")
        return self._autoencoder.decode(final)

    def _scheduler(self, name: str) -> Any:
        if name not in SCHEDULERS:
            raise unknown_name("scheduler", name, SCHEDULERS)
        # DDIM would clip the sample to [-1, 1] by default; PNDM's saved settings do not mention it.
        return SCHEDULERS[name].from_config({"clip_sample": False, **self._saved_schedule})

    def _embeddings(
        self, prompts: Sequence[str], negative_prompt: str, long_prompts: bool
    ) -> list[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Groups of rows whose embeddings have equal lengths: (rows, positive, negative)."""
        if not long_prompts:
            positive, negative = self._pipeline.encode_prompt(
                list(prompts), "cpu", 1, True, negative_prompt=[negative_prompt] * len(prompts)
            )
            return [(list(range(len(prompts))), positive, negative)]
        pairs = [self._long_pair(prompt, negative_prompt) for prompt in prompts]
        by_length: dict[int, list[int]] = {}
        for row, (positive, _) in enumerate(pairs):
            by_length.setdefault(positive.shape[1], []).append(row)
        return [
            (rows, torch.cat([pairs[row][0] for row in rows]), torch.cat([pairs[row][1] for row in rows]))
            for rows in by_length.values()
        ]

    def _long_pair(self, prompt: str, negative_prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
        tokenizer, encoder = self._pipeline.tokenizer, self._pipeline.text_encoder
        rows = [tokenizer(text, truncation=False).input_ids for text in (prompt, negative_prompt)]
        longest = max(map(len, rows))
        padded = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
        parts = [encoder(block)[0] for block in padded.split(tokenizer.model_max_length, dim=1)]
        both = torch.cat(parts, dim=1)
        return both[:1], both[1:]

    def _denoise(
        self,
        latents: torch.Tensor,
        noise: torch.Tensor,
        positive: torch.Tensor,
        negative: torch.Tensor,
        settings: SynthesisSettings,
    ) -> torch.Tensor:
        def prepare(image: torch.Tensor, timestep: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            return self._pipeline.scheduler.add_noise(latents, noise, timestep)

        self._pipeline.prepare_latents = prepare
        return self._pipeline(
            image=latents,
            prompt_embeds=positive,
            negative_prompt_embeds=negative,
            strength=settings.strength,
            guidance_scale=settings.guidance,
            num_inference_steps=settings.steps,
            output_type="latent",
        ).images


def blank_images(images: NDArray[np.uint8]) -> list[int]:
    """Indices of the images [N, H, W, 3] that hold one single value, e.g. all black."""
    flat = images.reshape(len(images), -1)
    return np.flatnonzero(flat.min(axis=1) == flat.max(axis=1)).tolist()
