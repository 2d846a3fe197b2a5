"""Small generators with random weights, of every kind of layer."""

from __future__ import annotations

from typing import Any

import torch

from uvlp.models.stylegan_xl.architecture import Architecture
from uvlp.models.stylegan_xl.generator import Generator

SMALL: dict[str, Any] = {
    "z_dim": 4,
    "w_dim": 6,
    "embed_dim": 3,
    "stem_px": 8,
    "stem_layers": 4,
    "stages": ((2, 4),),
    "channel_base": 64,
    "channel_max": 5,
}


def generator(seed: int = 0, **changes: Any) -> Generator:
    """Return a generator for images of 16 px, in float64 without gradients of its weights."""
    made = Generator(Architecture(**(SMALL | changes)))
    drawn = torch.Generator().manual_seed(seed)
    for name, tensor in (*made.named_parameters(), *made.named_buffers()):
        if name.endswith(("filter", "transform")):
            continue
        values = torch.randn(tensor.shape, generator=drawn)
        if name.endswith("magnitude_ema"):
            values = values.abs() + 0.5
        if name.endswith("affine.bias"):
            values = values * 0.1 + 1
        if ".fc" in name:
            values = values * 100  # as stored under a small learning rate
        tensor.data.copy_(values)
    return made.double().requires_grad_(False).eval()


def latents(made: Generator, count: int, seed: int = 0) -> torch.Tensor:
    """Return latents [count, `made.latents`, w_dim] in float64, another for every layer."""
    shape = (count, made.latents, made.sizes.w_dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
