"""Noise of the synthesis, drawn one prototype at a time: batches never matter (methods.md A.12, D.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from uvlp.core.seeds import torch_generator

PUBLISHED_SEED = 67280421310721
"""Initial seed of a torch.Generator that nobody seeded, as the reference uses for every class (E8)."""


def derived_noise(seed: int, class_id: str, slots: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
    """Normal noise float32 [len(slots), *shape], each slot with a generator of its own.

    Args:
        seed: seed of the run.
        class_id: class folder name.
        slots: 0-based slots of the class's prototypes.
        shape: shape of one latent, (4, h, w).
    """
    return torch.cat(
        [torch.randn((1, *shape), generator=torch_generator(seed, "noise", class_id, slot)) for slot in slots]
    )


def published_noise(
    slots: Sequence[int],
    shape: Sequence[int],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Noise [len(slots), *shape] of the published stream: for slot j its j-th draw, the same in every class.

    The reference draws on the device in the type of the UNet; CPU and GPU streams differ.
    """
    generator = torch.Generator(device).manual_seed(PUBLISHED_SEED)
    draws = [
        torch.randn((1, *shape), generator=generator, dtype=dtype, device=device)
        for _ in range(max(slots) + 1)
    ]
    return torch.cat([draws[slot] for slot in slots])
