"""The decoder of a VAE as a generative prior, split after one of its blocks (evaluation.md 5, GLaD).

GLaD optimises the latents of a StyleGAN-XL and a feature map between its layers. In a VAE nothing but the
feature map reaches the later blocks, so that here the map after block L is that of the latent plus an offset:
with offset 0 the image is the decoded latent, and both receive gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from uvlp.core.errors import UvlpError
from uvlp.methods.algorithms.coresets import random_rows
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.methods.algorithms.optimising.prior import CHUNK, rendered
from uvlp.models.autoencoder import Autoencoder
from uvlp.protocols.training.images import prepare, resize_and_crop


class DecoderPrior:
    """A `Prior`: a VAE's decoder without gradients of its weights, in float32.

    Args:
        folder: of the model; a pipeline's VAE lies in its subfolder ``vae``.
        device: "cpu" or "cuda".
        block: the offset is added after the middle block (0) or after this up block.
        side_px: side of the decoded images; 0: that on which the VAE was trained.
        size_px: side to which they are resized.

    Raises:
        UvlpError: no such block, or a side that the VAE cannot decode to.
    """

    def __init__(self, folder: Path, device: str, *, block: int, side_px: int, size_px: int) -> None:
        subfolder = "vae" if (folder / "vae").is_dir() else ""
        self._autoencoder = Autoencoder.load(folder, subfolder, device)
        self._model: Any = self._autoencoder.model.requires_grad_(False)
        blocks = len(self._model.decoder.up_blocks)
        if not 0 <= block <= blocks:
            raise UvlpError("glad.block: no such block of the decoder", got=block, allowed=f"0 to {blocks}")
        self.side_px = side_px or int(self._model.config.sample_size)
        factor = 2 ** (len(self._model.config.block_out_channels) - 1)
        if self.side_px % factor:
            what = "glad.side_px: a side to which the VAE cannot decode"
            raise UvlpError(what, got=self.side_px, allowed=f"a multiple of {factor}")
        self._block, self._size_px = block, size_px

    @torch.inference_mode()
    def encode(self, images: Sequence[numpy.ndarray]) -> Tensor:
        """Return the mean latents of images, uint8 [H, W, 3] each: scaled [n, 4, h, w]."""
        pixels = prepare(images, self.side_px, resize_and_crop).to(self._model.device)
        parts = [self._autoencoder.moments_of_pixels(part / 127.5 - 1)[0] for part in pixels.split(CHUNK)]
        return torch.cat(parts)

    def latents(self, inputs: MethodInput) -> Tensor:
        """Return the latents of the images of `random`."""
        starts = [data.originals(random_rows(data, inputs.ipc, inputs.seed)) for data in inputs.classes]
        return torch.cat([self.encode(images) for images in starts])

    def features(self, latents: Tensor) -> Tensor:
        """Return the offset 0 for latents."""
        with torch.no_grad():
            shape = self._until(latents[:1]).shape[1:]
        return torch.zeros(len(latents), *shape, device=latents.device)

    def render(self, latents: Tensor, features: Tensor) -> Tensor:
        """Return the images of latents and offsets."""
        decoder = self._model.decoder
        maps = self._until(latents) + features
        for block in decoder.up_blocks[self._block :]:
            maps = block(maps)
        pixels = decoder.conv_out(decoder.conv_act(decoder.conv_norm_out(maps)))
        return rendered(pixels, self._size_px)

    def _until(self, latents: Tensor) -> Tensor:
        """Return the feature map after the block."""
        scaled = latents / self._autoencoder.scaling_factor
        if self._model.post_quant_conv is not None:
            scaled = self._model.post_quant_conv(scaled)
        features = self._model.decoder.mid_block(self._model.decoder.conv_in(scaled))
        for block in self._model.decoder.up_blocks[: self._block]:
            features = block(features)
        return features
