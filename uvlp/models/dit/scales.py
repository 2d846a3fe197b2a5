"""DiffFit: fine-tune a DiT's biases, label embeddings and new scales (evaluation.md 5.1; Xie et al. 2023)."""

from __future__ import annotations

import torch
from torch import nn

from uvlp.models.dit.network import Block, DiT

SCALED_BLOCKS = 14
TRAINED = ("bias", "norm", "gamma", "y_embed")


def add_scales(network: DiT, blocks: int = SCALED_BLOCKS) -> None:
    """Add scales of one, which do not change the output, to the first ``blocks`` blocks.

    Per block, with width D: ``attn.gamma1`` [3D] for queries, keys and values, ``attn.gamma2`` [D] for the
    attention's output, ``gamma1`` [D] and ``gamma2`` [D] for the gated attention and MLP.
    """
    for block in network.blocks[:blocks]:
        assert isinstance(block, Block)
        attention = block.attn
        attention.gamma1, attention.gamma2 = _ones_like(attention.qkv.bias), _ones_like(attention.proj.bias)
        block.gamma1, block.gamma2 = _ones_like(attention.proj.bias), _ones_like(attention.proj.bias)


@torch.no_grad()
def merge_scales(network: DiT) -> None:
    """Multiply the scales into the layers whose outputs they scale, and remove them."""
    for block in network.blocks:
        assert isinstance(block, Block)
        if block.gamma1 is None:
            continue
        attention, modulation = block.attn, block.adaLN_modulation[1]
        assert isinstance(modulation, nn.Linear)
        width = len(attention.proj.bias)
        gates = torch.ones_like(modulation.bias)
        # The gates of attention and MLP are the third and sixth of six parts.
        gates[2 * width : 3 * width], gates[5 * width :] = block.gamma1, _given(block.gamma2)
        scaled = (attention.qkv, attention.gamma1), (attention.proj, attention.gamma2), (modulation, gates)
        for layer, scale in scaled:
            layer.weight.mul_(_given(scale)[:, None])
            layer.bias.mul_(_given(scale))
        attention.gamma1 = attention.gamma2 = block.gamma1 = block.gamma2 = None


def _given(scale: torch.Tensor | None) -> torch.Tensor:
    assert scale is not None
    return scale


def _ones_like(parameter: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(parameter.detach().new_ones(parameter.shape))


def trained_names(network: nn.Module) -> list[str]:
    """Return the names of the parameters that are fine-tuned; all others are frozen."""
    return [name for name, _ in network.named_parameters() if any(part in name for part in TRAINED)]
