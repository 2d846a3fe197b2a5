"""Check the architecture of a class-conditional DiT; see `model_checks.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from uvlp.core.files.safetensors_file import Shapes
from uvlp.models.published.checks.model_fields import Fields, Shape, compare, other, read_config
from uvlp.models.published.checks.model_tensors import layer
from uvlp.models.published.layout import LAYOUTS

CLASSES = ("DiTTransformer2DModel", "Transformer2DModel")
"""The class of its transformer in diffusers, now and before 0.28."""
LATENT_CHANNELS, FREQUENCIES, LABELS = 4, 256, 1000
ONLY = {"norm_type": "ada_norm_zero", "in_channels": LATENT_CHANNELS, "out_channels": 2 * LATENT_CHANNELS}
MOST_BLOCKS = 1024


def check_class(folder: Path) -> None:
    """Refuse another pipeline or another network, by the configurations that exist.

    Raises:
        UvlpError: the architecture, with the file and the field.
    """
    index = folder / "model_index.json"
    if index.is_file() and (got := read_config(index).get("_class_name")) != "DiTPipeline":
        raise other(LAYOUTS["dit"].title, index, "_class_name", got, "DiTPipeline")
    if (folder / "transformer" / "config.json").is_file():
        _fields(folder)


def transformer(folder: Path, tensors: Mapping[str, Shapes]) -> None:
    """Refuse weights that do not match their configuration, or other labels than those of ImageNet.

    Raises:
        UvlpError: what is wrong, with the file and the field.
    """
    check_class(folder)
    compare(_fields(folder), tensors["transformer/diffusion_pytorch_model"], _tensors(_fields(folder)))


def _fields(folder: Path) -> Fields:
    path = folder / "transformer" / "config.json"
    fields = Fields(title=LAYOUTS["dit"].title, path=path, config=read_config(path))
    got = fields.config.get("_class_name")
    if got not in CLASSES:
        raise fields.refuse("_class_name", got, CLASSES[0])
    fields.only(ONLY)
    labels = fields.integer("num_embeds_ada_norm", LABELS)
    if labels != LABELS:
        raise fields.refuse("num_embeds_ada_norm", labels, f"{LABELS}, the classes of ImageNet")
    side, patch = fields.integer("sample_size", 32), fields.integer("patch_size", 2)
    if side % patch:
        raise fields.refuse("sample_size", side, f"a multiple of patch_size, {patch}")
    return fields


def _tensors(fields: Fields) -> dict[str, Shape]:
    """Return names and shapes; the labels have a null label besides."""
    width = fields.integer("num_attention_heads", 16) * fields.integer("attention_head_dim", 72)
    patch, labels = fields.integer("patch_size", 2), fields.integer("num_embeds_ada_norm", LABELS)
    tensors = dict(layer("pos_embed.proj", width, LATENT_CHANNELS, patch, patch))
    tensors |= layer("proj_out_1", 2 * width, width)
    tensors |= layer("proj_out_2", patch**2 * 2 * LATENT_CHANNELS, width)
    for number in range(fields.integer("num_layers", 28, MOST_BLOCKS)):
        block = f"transformer_blocks.{number}"
        tensors |= layer(f"{block}.norm1.emb.timestep_embedder.linear_1", width, FREQUENCIES)
        tensors |= layer(f"{block}.norm1.emb.timestep_embedder.linear_2", width, width)
        tensors[f"{block}.norm1.emb.class_embedder.embedding_table.weight"] = labels + 1, width
        tensors |= layer(f"{block}.norm1.linear", 6 * width, width)
        for part in ("to_q", "to_k", "to_v", "to_out.0"):
            tensors |= layer(f"{block}.attn1.{part}", width, width)
        tensors |= layer(f"{block}.ff.net.0.proj", 4 * width, width)
        tensors |= layer(f"{block}.ff.net.2", width, 4 * width)
    return tensors
