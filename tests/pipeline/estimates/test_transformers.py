"""Operations and parameters of DiTs against torch's counter and diffusers' model."""

from __future__ import annotations

import pytest
import torch
from diffusers import DiTTransformer2DModel
from torch.utils.flop_counter import FlopCounterMode

from uvlp.models.dit.network import DiT
from uvlp.pipeline.estimates.transformers import DIT_XL, Shape


@pytest.mark.parametrize("shape", [DIT_XL, Shape(depth=3, width=64, side=8, classes=10)])
def test_counts_are_those_of_the_network(shape: Shape) -> None:
    with torch.device("meta"):
        network = DiT(side=shape.side, classes=shape.classes, depth=shape.depth, width=shape.width, heads=4)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.empty(1, 4, shape.side, shape.side), torch.empty(1), torch.zeros(1).long())
        stored = DiTTransformer2DModel(
            num_attention_heads=4,
            attention_head_dim=shape.width // 4,
            out_channels=8,
            num_layers=shape.depth,
            sample_size=shape.side,
            num_embeds_ada_norm=shape.classes,
        )
    assert shape.flops == counter.get_total_flops()
    assert shape.parameters == sum(parameter.numel() for parameter in stored.parameters())
