"""The DiT against diffusers' at a tiny size, and DiffFit's scales."""

from __future__ import annotations

import pytest
import torch
from diffusers import DiTTransformer2DModel

from tests.tolerances import depth, rounding
from uvlp.models.difffit import add_scales, trained_names
from uvlp.models.dit import DiT

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


def diffusers_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename the parameters to diffusers' names, with the embeddings repeated in every block."""
    found = {
        "pos_embed.pos_embed": state["pos_embed"],
        **moved(state, "x_embedder.proj", "pos_embed.proj"),
        **moved(state, "final_layer.adaLN_modulation.1", "proj_out_1"),
        **moved(state, "final_layer.linear", "proj_out_2"),
    }
    for number in range(DEPTH):
        ours, theirs = f"blocks.{number}", f"transformer_blocks.{number}"
        embedding = f"{theirs}.norm1.emb"
        table = "embedding_table.weight"
        found[f"{embedding}.class_embedder.{table}"] = state[f"y_embedder.{table}"]
        found |= moved(state, "t_embedder.mlp.0", f"{embedding}.timestep_embedder.linear_1")
        found |= moved(state, "t_embedder.mlp.2", f"{embedding}.timestep_embedder.linear_2")
        found |= moved(state, f"{ours}.adaLN_modulation.1", f"{theirs}.norm1.linear")
        found |= moved(state, f"{ours}.attn.proj", f"{theirs}.attn1.to_out.0")
        found |= moved(state, f"{ours}.mlp.fc1", f"{theirs}.ff.net.0.proj")
        found |= moved(state, f"{ours}.mlp.fc2", f"{theirs}.ff.net.2")
        for kind in ("weight", "bias"):
            parts = state[f"{ours}.attn.qkv.{kind}"].chunk(3)
            found |= {
                f"{theirs}.attn1.to_{name}.{kind}": part for name, part in zip("qkv", parts, strict=True)
            }
    return found


def moved(state: dict[str, torch.Tensor], ours: str, theirs: str) -> dict[str, torch.Tensor]:
    return {f"{theirs}.{kind}": state[f"{ours}.{kind}"] for kind in ("weight", "bias")}


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
    state = diffusers_state(network.state_dict())
    reference.pos_embed.register_buffer("pos_embed", state.pop("pos_embed.pos_embed"), persistent=False)
    reference.load_state_dict(state)
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
