"""Sample images from prototypes: the stock img2img pipeline with given latents and given noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
)
from numpy.typing import NDArray

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.square_roots import with_square_roots
from uvlp.core.wording import first_few
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.published import memory
from uvlp.models.quantise import to_bytes
from uvlp.models.quiet import LOADING_ERRORS, quiet
from uvlp.models.sampling.latents2img import latents2img
from uvlp.models.sampling.prompts import PromptEncoder
from uvlp.recipes.schema import SynthesisSettings

REVISION = 2
SCHEDULERS = {
    "pndm": with_square_roots(PNDMScheduler),
    "ddim": with_square_roots(DDIMScheduler),
    "dpm++": with_square_roots(DPMSolverMultistepScheduler),
    "euler": with_square_roots(EulerDiscreteScheduler),
}
LONGEST_PROBLEM = 300


class Sampler:
    """A Stable Diffusion folder, ready to synthesise (methods.md A.12, B.6).

    Attributes:
        dtype, device: of the UNet.
        decoded_again: number of images whose decoding overflowed and was repeated in float32.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._saved_schedule = dict(pipeline.scheduler.config)
        self._autoencoder = Autoencoder(pipeline.vae)
        self._encoders: dict[tuple[str, bool], PromptEncoder] = {}
        self.dtype, self.device = pipeline.unet.dtype, pipeline.unet.device
        self.decoded_again = 0

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Sampler:
        """Load the folder offline, without a safety checker, which would blacken images.

        Attention is torch's scaled dot product, diffusers' default.

        Raises:
            UvlpError: the folder is not a loadable pipeline.
        """
        try:
            with quiet():
                pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(
                    folder,
                    local_files_only=True,
                    use_safetensors=True,
                    safety_checker=None,
                    requires_safety_checker=False,
                    dtype=dtype,
                )
        except LOADING_ERRORS as error:
            problem = shorten(str(error), LONGEST_PROBLEM, placeholder=" ...")
            raise UvlpError(
                f"cannot load a Stable Diffusion pipeline ({problem})",
                got=str(folder),
                allowed="a folder saved by diffusers, with safetensors",
                fix="copy or download the folder again",
            ) from error
        lacking = [
            f"{part}: {name}"
            for part in ("unet", "vae", "text_encoder")
            for name, tensor in getattr(pipeline, part).named_parameters()
            if tensor.is_meta  # diffusers does not initialise tensors that are in no file
        ]
        if lacking:
            got, fix = first_few(lacking), "copy or download the folder again"
            raise UvlpError(f"{folder} lacks tensors of its configuration", got=got, fix=fix)
        return cls(pipeline.to(device))

    def length(self, prompt: str, settings: SynthesisSettings, long_prompts: bool) -> int:
        """Return the number of text states of a prompt; prompts of equal length should share a batch."""
        return self._encoder(settings, long_prompts).length(prompt)

    def batch(self, count: int, latent_shape: Sequence[int]) -> int:
        """Return the batch size for ``count`` prototypes with latents [4, h, w] on this kind of device.

        The memory of the card decides, not what other processes leave free of it.
        """
        cells = latent_shape[-2] * latent_shape[-1]
        channels = self._pipeline.unet.config.block_out_channels[0]
        each_bytes = memory.prototype_bytes(channels, cells, self.dtype.itemsize)
        if self.device.type != "cuda":
            return memory.choose(count, each_bytes, None)
        total = torch.cuda.mem_get_info(self.device)[1]
        return memory.choose(count, each_bytes, total - self._weights_bytes())

    def _weights_bytes(self) -> int:
        parts = (getattr(self._pipeline, part) for part in ("unet", "vae", "text_encoder"))
        return sum(tensor.nbytes for part in parts for tensor in part.parameters())

    def synthesise(
        self,
        latents: torch.Tensor,
        noise: torch.Tensor,
        prompts: Sequence[str],
        settings: SynthesisSettings,
        long_prompts: bool,
        names: Sequence[str],
    ) -> NDArray[np.uint8]:
        """Return images uint8 [B, H, W, 3] of scaled latents [B, 4, h, w], noise of that shape and B prompts.

        The rest of the batch affects an image only by rounding. With a strength of less than one step the
        latents are decoded unchanged.

        Args:
            long_prompts: embed without padding and truncation, as VLCP does (methods.md B.6).
            names: class and slot of each row, for errors.

        Raises:
            UvlpError: unknown scheduler, or a result that is not finite.
        """
        assert latents.shape == noise.shape and len(latents) == len(prompts) == len(names)
        if int(settings.steps * settings.strength) < 1:
            return self._decode(latents)
        final = self.final_latents(latents, noise, prompts, settings, long_prompts)
        finite = final.isfinite().flatten(1).all(1).tolist()
        if not all(finite):
            raise UvlpError(
                "the diffuser's output is not finite: "
                + first_few([name for name, fine in zip(names, finite, strict=True) if not fine]),
                got=f"{self.dtype}".removeprefix("torch."),
                fix="change its training (diffuser.lr) or the guidance: the same settings fail again"
                if self.dtype == torch.float32
                else "choose the precision float32, or another model",
            )
        return self._decode(final)

    @torch.inference_mode()
    def final_latents(
        self,
        latents: torch.Tensor,
        noise: torch.Tensor,
        prompts: Sequence[str],
        settings: SynthesisSettings,
        long_prompts: bool,
    ) -> torch.Tensor:
        """Return scaled latents [B, 4, h, w] at the end of the schedule (arguments as for `synthesise`)."""
        self._pipeline.scheduler = self._scheduler(settings.scheduler)
        embedded = self._encoder(settings, long_prompts).embed(prompts)
        with quiet():
            return latents2img(
                self._pipeline,
                latents,
                noise,
                embedded.positive,
                embedded.negative,
                settings.strength,
                settings.guidance,
                settings.steps,
                embedded.mask,
            )

    def _encoder(self, settings: SynthesisSettings, long_prompts: bool) -> PromptEncoder:
        key = settings.negative_prompt, long_prompts
        if key not in self._encoders:
            self._encoders[key] = PromptEncoder(self._pipeline, *key)
        return self._encoders[key]

    def _scheduler(self, name: str) -> Any:
        if name not in SCHEDULERS:
            raise unknown_name("scheduler", name, SCHEDULERS)
        # DDIM clips the sample to [-1, 1] by default, and PNDM's saved configuration does not disable it.
        return SCHEDULERS[name].from_config({"clip_sample": False, **self._saved_schedule})

    def _decode(self, latents: torch.Tensor) -> NDArray[np.uint8]:
        """Decode a batch in parts; images that overflow in half precision are decoded again in float32."""
        images = []
        for part in latents.split(max(1, len(latents) // memory.DECODED_SHARE)):
            pixels = self._autoencoder.pixels(part)
            decoded = to_bytes(pixels)
            wrong = ~pixels.isfinite().flatten(1).all(1)
            if self.dtype != torch.float32 and wrong.any():
                rows = wrong.cpu().numpy()
                decoded[rows] = to_bytes(self._autoencoder.pixels(part[wrong.to(part.device)], torch.float32))
                self.decoded_again += int(rows.sum())
            images.append(decoded)
        return np.concatenate(images)
