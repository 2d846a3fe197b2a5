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

from uvlp.blocks import long_prompt
from uvlp.blocks.latents2img import latents2img
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
        final = self.final_latents(latents, noise, prompts, settings, long_prompts)
        if not torch.isfinite(final).all():
            raise UvlpError(f"the diffuser gave a value that is not a number: {where}", do="train it again")
        return self._autoencoder.decode(final)

    def final_latents(
        self,
        latents: torch.Tensor,
        noise: torch.Tensor,
        prompts: Sequence[str],
        settings: SynthesisSettings,
        long_prompts: bool,
    ) -> torch.Tensor:
        """Scaled latents [B, 4, h, w] at the end of the schedule, before decoding (see `synthesise`)."""
        self._pipeline.scheduler = self._scheduler(settings.scheduler)
        final = torch.empty_like(latents)
        with quiet(), torch.inference_mode():
            for rows, positive, negative in self._embeddings(prompts, settings.negative_prompt, long_prompts):
                final[rows] = latents2img(
                    self._pipeline,
                    latents[rows],
                    noise[rows],
                    positive,
                    negative,
                    settings.strength,
                    settings.guidance,
                    settings.steps,
                )
        return final

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
        pair = long_prompt.embed_pair(
            prompt,
            negative_prompt,
            lambda text: tokenizer(text, truncation=False).input_ids,
            lambda ids: encoder(ids).last_hidden_state,
            pad=tokenizer.pad_token_id,
            block=tokenizer.model_max_length,
        )
        return pair[0].states, pair[1].states
