"""A DiT with its autoencoder as a folder of diffusers' DiTPipeline: `transformer/` and `vae/`.

Published models and those that are trained here have this layout. diffusers repeats the embeddings of label
and time in every block, and splits the attention's weight in three; positions are not stored.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.models.dit.network import DiT, positions
from uvlp.models.quiet import LOADING_ERRORS

WEIGHTS = "diffusion_pytorch_model"
CLASS = "DiTTransformer2DModel"
EMBEDDINGS = {
    "t_embedder.mlp.0.weight": "timestep_embedder.linear_1.weight",
    "t_embedder.mlp.0.bias": "timestep_embedder.linear_1.bias",
    "t_embedder.mlp.2.weight": "timestep_embedder.linear_2.weight",
    "t_embedder.mlp.2.bias": "timestep_embedder.linear_2.bias",
    "y_embedder.embedding_table.weight": "class_embedder.embedding_table.weight",
}
"""Names of the embeddings, here and below `transformer_blocks.N.norm1.emb`."""
LAYERS = {"adaLN_modulation.1": "norm1.linear", "attn.proj": "attn1.to_out.0"}
LAYERS |= {"mlp.fc1": "ff.net.0.proj", "mlp.fc2": "ff.net.2"}
"""Layers of a block, here and below `transformer_blocks.N`."""
OUTER = {"x_embedder.proj": "pos_embed.proj", "final_layer.adaLN_modulation.1": "proj_out_1"}
OUTER |= {"final_layer.linear": "proj_out_2"}
"""Layers outside of blocks."""
SCHEDULER = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "variance_type": "fixed_small",
    "clip_sample": False,
}
"""For diffusers' pipeline, which discards the learned variance; not read here."""
INDEX = {
    "_class_name": "DiTPipeline",
    "scheduler": ["diffusers", "DDPMScheduler"],
    "transformer": ["diffusers", CLASS],
    "vae": ["diffusers", "AutoencoderKL"],
}


def load(folder: Path) -> DiT:
    """Load the transformer of a folder, float32 on the CPU.

    Raises:
        UvlpError: damaged files, or another architecture.
    """
    path = folder / "transformer"
    try:
        config = json_files.read_object(path / "config.json")
        with torch.device("meta"):
            network = _network(config)
        network.load_state_dict(_from_diffusers(_tensors(path), network), assign=True)
    except LOADING_ERRORS as error:
        allowed = f"a diffusers {CLASS}: config.json and matching safetensors"
        raise UvlpError(f"cannot load a DiT from {path}", got=str(error)[:300], allowed=allowed) from error
    network.pos_embed.requires_grad_(False)
    return network.eval()


def _network(config: Any) -> DiT:
    heads = config.get("num_attention_heads", 16)
    return DiT(
        side=config["sample_size"],
        channels=config.get("in_channels", 4),
        classes=config.get("num_embeds_ada_norm", 1000),
        width=heads * config.get("attention_head_dim", 72),
        depth=config.get("num_layers", 28),
        heads=heads,
        patch=config.get("patch_size", 2),
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of all shards in float32."""
    single = path / f"{WEIGHTS}.safetensors"
    files = [single] if single.is_file() else sorted(path.glob(f"{WEIGHTS}-*-of-*.safetensors"))
    return {name: tensor.float() for file in files for name, tensor in load_file(file).items()}


def _from_diffusers(state: dict[str, Tensor], network: DiT) -> dict[str, Tensor]:
    """Rename parameters; every block must have the same embeddings.

    Raises:
        KeyError: a missing parameter.
        ValueError: blocks whose embeddings differ, as after a fine-tuning by diffusers.
    """
    width = network.pos_embed.shape[2]
    ours = {"pos_embed": positions(width, network.side // network.patch)}
    for own, theirs in EMBEDDINGS.items():
        ours[own] = state[f"transformer_blocks.0.norm1.emb.{theirs}"]
        for number in range(1, len(network.blocks)):
            name = f"transformer_blocks.{number}.norm1.emb.{theirs}"
            if not torch.equal(state[name], ours[own]):
                raise ValueError(f"{name} differs from that of the first block")
    ours |= {own: state[theirs] for own, theirs in _layers(len(network.blocks))}
    for number in range(len(network.blocks)):
        for kind in ("weight", "bias"):
            parts = [state[f"transformer_blocks.{number}.attn1.to_{part}.{kind}"] for part in "qkv"]
            ours[f"blocks.{number}.attn.qkv.{kind}"] = torch.cat(parts)
    return ours


def to_diffusers(network: DiT) -> dict[str, Tensor]:
    """Return the parameters by diffusers' names; DiffFit's scales must be merged."""
    state, depth = network.state_dict(), len(network.blocks)
    theirs = {name: state[own] for own, name in _layers(depth)}
    for number in range(depth):
        block = f"transformer_blocks.{number}"
        theirs |= {f"{block}.norm1.emb.{name}": state[own].clone() for own, name in EMBEDDINGS.items()}
        for kind in ("weight", "bias"):
            parts = state[f"blocks.{number}.attn.qkv.{kind}"].chunk(3)
            theirs |= {
                f"{block}.attn1.to_{part}.{kind}": each.clone()
                for part, each in zip("qkv", parts, strict=True)
            }
    return theirs


def _layers(depth: int) -> Iterator[tuple[str, str]]:
    """Yield the names of parameters that are only renamed, here and in diffusers."""
    for kind in ("weight", "bias"):
        for own, theirs in OUTER.items():
            yield f"{own}.{kind}", f"{theirs}.{kind}"
        for number in range(depth):
            for own, theirs in LAYERS.items():
                yield f"blocks.{number}.{own}.{kind}", f"transformer_blocks.{number}.{theirs}.{kind}"


def save(network: DiT, vae: Path, folder: Path) -> None:
    """Write the network with a copy of the autoencoder in ``vae``."""
    config = {
        "_class_name": CLASS,
        "activation_fn": "gelu-approximate",
        "attention_bias": True,
        "attention_head_dim": network.pos_embed.shape[2] // network.heads,
        "in_channels": network.channels,
        "norm_elementwise_affine": False,
        "norm_eps": 1e-5,
        "norm_type": "ada_norm_zero",
        "num_attention_heads": network.heads,
        "num_embeds_ada_norm": network.classes,
        "num_layers": len(network.blocks),
        "out_channels": 2 * network.channels,
        "patch_size": network.patch,
        "sample_size": network.side,
    }
    for name, content in (("transformer/config", config), ("scheduler/scheduler_config", SCHEDULER)):
        (folder / name).parent.mkdir(parents=True)
        _write(folder / f"{name}.json", content)
    _write(folder / "model_index.json", INDEX)
    tensors = {name: tensor.contiguous() for name, tensor in to_diffusers(network).items()}
    save_file(tensors, folder / "transformer" / f"{WEIGHTS}.safetensors", {"format": "pt"})
    (folder / "vae").mkdir()
    for file in (vae / "config.json", *sorted(vae.glob(f"{WEIGHTS}*.safetensors*"))):
        shutil.copyfile(file, folder / "vae" / file.name)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
