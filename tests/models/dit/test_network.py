"""The DiT against diffusers' at a tiny size, and DiffFit's scales."""

from __future__ import annotations

import pytest
import torch
from diffusers import DiTTransformer2DModel

from tests.tolerances import EXPONENTIAL, depth, rounding
from uvlp.models.dit.layout import to_diffusers
from uvlp.models.dit.network import DiT, initialise, positions
from uvlp.models.dit.scales import add_scales, merge_scales, trained_names

SIDE, CLASSES, WIDTH, HEADS, DEPTH = 8, 5, 32, 4, 3


@pytest.fixture
def network() -> DiT:
    """Return a tiny DiT with random parameters, so that nothing is multiplied by zero."""
    network = DiT(side=SIDE, classes=CLASSES, width=WIDTH, depth=DEPTH, heads=HEADS).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    noisy = torch.randn(2, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return noisy, torch.tensor([3, 950]), torch.tensor([2, CLASSES])


@torch.inference_mode()
def test_outputs_agree_with_diffusers(network: DiT) -> None:
    reference = DiTTransformer2DModel(
        num_attention_heads=HEADS,
        attention_head_dim=WIDTH // HEADS,
        out_channels=8,
        num_layers=DEPTH,
        sample_size=SIDE,
        num_embeds_ada_norm=CLASSES,
    )
    for block in reference.transformer_blocks:
        block.norm1.norm.eps = block.norm3.eps = 1e-6
        # diffusers spreads 128 frequencies over 127 intervals, the published DiT over 128.
        block.norm1.emb.time_proj.downscale_freq_shift = 0
    reference.pos_embed.register_buffer("pos_embed", network.pos_embed.detach(), persistent=False)
    reference.load_state_dict(to_diffusers(network))
    noisy, timesteps, labels = inputs()
    expected = reference.double().eval()(noisy, timesteps, labels).sample
    bound = rounding(depth(network), torch.float64, largest=expected.abs().max().item())
    torch.testing.assert_close(network(noisy, timesteps, labels), expected, rtol=0, atol=bound)


@torch.inference_mode()
def test_scales_of_one_preserve_the_output_and_others_change_it(network: DiT) -> None:
    before = network(*inputs())
    add_scales(network, 2)
    scales = {name: scale for name, scale in network.named_parameters() if "gamma" in name}
    assert len(scales) == 8 and not any(name.startswith("blocks.2") for name in scales)
    # A product with one is exact, but other products may be grouped differently.
    bound = rounding(depth(network), torch.float64, largest=before.abs().max().item())
    torch.testing.assert_close(network(*inputs()), before, rtol=0, atol=bound)
    for name, scale in scales.items():
        scale.fill_(2.0)
        assert (network(*inputs()) - before).abs().max() > 1e-6, name  # rounding is below 1e-11
        scale.fill_(1.0)


@torch.inference_mode()
def test_merged_scales_preserve_the_output(network: DiT) -> None:
    add_scales(network, 2)
    generator = torch.Generator().manual_seed(3)
    for name, scale in network.named_parameters():
        if "gamma" in name:
            scale.copy_(1 + 0.5 * torch.randn(scale.shape, generator=generator))
    before = network(*inputs())
    merge_scales(network)
    assert not any("gamma" in name for name, _ in network.named_parameters())
    bound = rounding(depth(network), torch.float64, largest=before.abs().max().item())
    torch.testing.assert_close(network(*inputs()), before, rtol=0, atol=bound)


def test_positions_are_those_of_diffusers() -> None:
    reference = DiTTransformer2DModel(
        num_attention_heads=HEADS, attention_head_dim=WIDTH // HEADS, num_layers=1, sample_size=SIDE
    )
    # An angle up to 3 has three roundings before its sine.
    bound = rounding(3 + EXPONENTIAL, largest=3.0)
    torch.testing.assert_close(positions(WIDTH, SIDE // 2), reference.pos_embed.pos_embed, rtol=0, atol=bound)


def test_an_initial_block_is_the_identity_and_the_output_is_zero() -> None:
    network = DiT(side=SIDE, classes=CLASSES, width=WIDTH, depth=1, heads=HEADS)
    initialise(network)
    tokens, condition = torch.randn(2, 16, WIDTH), torch.randn(2, WIDTH)
    assert torch.equal(network.blocks[0](tokens, condition), tokens)
    noisy, timesteps, labels = inputs()
    assert not network(noisy.float(), timesteps, labels).any()
    for name in ("blocks.0.attn.qkv.weight", "x_embedder.proj.weight", "y_embedder.embedding_table.weight"):
        assert network.get_parameter(name).std() > 0.01, name


def test_parameter_names_are_those_of_the_public_checkpoint() -> None:
    with torch.device("meta"):
        names = list(DiT().state_dict())
    assert len(names) == 1 + 2 + 4 + 1 + 28 * 10 + 4
    first, last = [name for name in names if name.startswith("blocks.")][:10], names[-4:]
    parts = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2", "adaLN_modulation.1")
    assert first == [f"blocks.0.{part}.{kind}" for part in parts for kind in ("weight", "bias")]
    assert last == [
        f"final_layer.{part}.{kind}"
        for part in ("linear", "adaLN_modulation.1")
        for kind in ("weight", "bias")
    ]
    assert names[:8] == [
        "pos_embed",
        "x_embedder.proj.weight",
        "x_embedder.proj.bias",
        "t_embedder.mlp.0.weight",
        "t_embedder.mlp.0.bias",
        "t_embedder.mlp.2.weight",
        "t_embedder.mlp.2.bias",
        "y_embedder.embedding_table.weight",
    ]


def test_fine_tuning_freezes_weights_and_positions(network: DiT) -> None:
    add_scales(network, 1)
    fixed = set(dict(network.named_parameters())) - set(trained_names(network))
    assert "pos_embed" in fixed and all(name == "pos_embed" or name.endswith("weight") for name in fixed)
    assert "y_embedder.embedding_table.weight" not in fixed
