"""Load and check the parts of a Stable Diffusion folder that the fine-tuning needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uvlp.core.errors import UvlpError
from uvlp.core.files.lines import split_lines
from uvlp.core.square_roots import with_square_roots
from uvlp.models.published.checks import model_checks
from uvlp.models.published.layout import LAYOUTS, contents, lacks_files
from uvlp.models.quiet import quiet

LAYOUT = LAYOUTS["diffusion"]
FIX = "fetch the model again (uvlp fetch models), or set another folder: --set models.diffusion=FOLDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Models on their device; all but ``unet`` (float32) are frozen and in ``dtype``.

    Attributes:
        noise_levels: DDPM scheduler with the folder's noise schedule.
        latent: shape of a latent.
    """

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    noise_levels: Any
    dtype: torch.dtype
    latent: tuple[int, int, int]

    def moments(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and deviation [n, 4, h, w] of the posterior of images in [-1, 1], not scaled."""
        return moments(self.vae, pixels)

    @torch.no_grad()
    def text_states(self, ids: torch.Tensor) -> torch.Tensor:
        """Return text states [n, L, D] of token ids [n, L]."""
        return self.text_encoder(ids).last_hidden_state

    def tokens(self, texts: list[str]) -> NDArray[np.int32]:
        """Return token ids [N, L] of captions, truncated or padded to L (published: 77)."""
        encoded = self.tokenizer(
            texts,
            max_length=self.tokenizer.model_max_length,
            padding="max_length",
            truncation=True,
            return_tensors="np",
        )
        return encoded.input_ids.astype(np.int32)


@torch.no_grad()
def moments(vae: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and deviation [n, 4, h, w] of the posterior of images in [-1, 1], not scaled."""
    posterior = vae.encode(pixels).latent_dist
    return posterior.mean, posterior.std


def check_base(base: Path) -> tuple[str, ...]:
    """Check the pipeline in ``base`` and return the files that are read.

    Raises:
        UvlpError: a file is missing, damaged, or of another model.
    """
    present = contents(LAYOUT, base)
    if present.missing:
        raise lacks_files(LAYOUT, base, present.missing, FIX)
    model_checks.check("diffusion", base, present, lambda _: FIX)
    return present.read


def load_parts(base: Path, dtype: torch.dtype, device: torch.device, resolution_px: int) -> Parts:
    """Load the checked folder ``base``: the frozen parts in ``dtype``, the UNet in float32.

    Raises:
        UvlpError: weights do not match their configuration, or a wrong image size for the autoencoder.
    """
    from diffusers import DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    with quiet():
        tokenizer = CLIPTokenizer.from_pretrained(base, subfolder="tokenizer", local_files_only=True)
        scheduler = with_square_roots(DDPMScheduler)
        noise_levels = scheduler.from_pretrained(base, subfolder="scheduler", local_files_only=True)
    vae = load_vae(base, dtype, device)
    text_encoder = _weights(CLIPTextModel, base, "text_encoder", dtype).to(device).eval()
    unet = _weights(UNet2DConditionModel, base, "unet", torch.float32)
    return Parts(
        unet=unet.to(device),
        vae=vae,
        text_encoder=text_encoder.requires_grad_(False),
        tokenizer=tokenizer,
        noise_levels=noise_levels,
        dtype=dtype,
        latent=latent_of(vae, resolution_px),
    )


def load_vae(base: Path, dtype: torch.dtype, device: torch.device) -> Any:
    """Load the autoencoder of a checked folder, frozen.

    Raises:
        UvlpError: weights do not match their configuration.
    """
    from diffusers import AutoencoderKL

    return _weights(AutoencoderKL, base, "vae", dtype).to(device).eval().requires_grad_(False)


def latent_of(vae: Any, resolution_px: int) -> tuple[int, int, int]:
    """Return the shape of the latent of an image.

    Raises:
        UvlpError: a wrong image size for the autoencoder.
    """
    shrink = 2 ** (len(vae.config.block_out_channels) - 1)
    if resolution_px % shrink:
        raise UvlpError(
            "setting finetune.resolution_px", got=resolution_px, allowed=f"a multiple of {shrink}"
        )
    side = resolution_px // shrink
    return vae.config.latent_channels, side, side


def _weights(model: Any, base: Path, part: str, dtype: torch.dtype) -> Any:
    """Load one model; refuse missing or unexpected weights and wrong shapes."""
    try:
        with quiet():
            loaded, info = model.from_pretrained(
                base,
                subfolder=part,
                local_files_only=True,
                use_safetensors=True,
                dtype=dtype,
                output_loading_info=True,
            )
    except (RuntimeError, ValueError) as error:
        raise _unfit(base, part, split_lines(str(error) or type(error).__name__)[0][:200]) from error
    # Additional tensors of a text encoder were checked by `check_base`.
    unexpected = [] if part == "text_encoder" else info["unexpected_keys"]
    wrong = [*info["missing_keys"], *unexpected, *info["mismatched_keys"]]
    wrong = [str(key) for key in wrong if "position_ids" not in str(key)]
    if wrong:
        raise _unfit(base, part, f"{wrong[0]} and {len(wrong) - 1} more")
    return loaded


def _unfit(base: Path, part: str, got: str) -> UvlpError:
    return UvlpError(f"the weights of {base / part} do not match its config.json", got=got, fix=FIX)
