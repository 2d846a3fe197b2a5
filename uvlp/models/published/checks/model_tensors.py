"""The tensors of the models in a Stable Diffusion folder, derived from their configurations.

The libraries detect wrong weights when they load them: after hours of captions and features. Here the names
and shapes are derived from the configuration for the architecture of Stable Diffusion 1.5 (diffusers'
UNet2DConditionModel and AutoencoderKL, transformers' CLIPTextModel; a test compares them) and of CLIP
(open_clip's towers), in any size, without those libraries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from uvlp.models.published.checks.model_fields import Fields, Shape

Tensors = Iterator[tuple[str, Shape]]

PLAIN, ATTENDING = ("DownBlock2D", "UpBlock2D"), ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D")
CHANNELS = (320, 640, 1280, 1280)
DOWN = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
UP = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
CODED = ("DownEncoderBlock2D", "UpDecoderBlock2D")
UNET_ONLY: Mapping[str, object] = {
    "out_channels": 4,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "only_cross_attention": False,
    "mid_block_only_cross_attention": False,
    "transformer_layers_per_block": 1,
    "reverse_transformer_layers_per_block": None,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "dual_cross_attention": False,
    "use_linear_projection": False,
    "class_embed_type": None,
    "num_class_embeds": None,
    "resnet_time_scale_shift": "default",
    "resnet_skip_time_act": False,
    "time_embedding_type": "positional",
    "time_embedding_dim": None,
    "timestep_post_act": None,
    "time_cond_proj_dim": None,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "attention_type": "default",
    "class_embeddings_concat": False,
    "cross_attention_norm": None,
    "center_input_sample": False,
}
"""Fields of a UNet's configuration that have other values in other architectures."""
PER_LEVEL = ("only_cross_attention", "cross_attention_dim", "transformer_layers_per_block")
"""Fields of a UNet that may be a list with an entry per level."""
CODER_ONLY: Mapping[str, object] = {
    "in_channels": 3,
    "out_channels": 3,
    "shift_factor": 0,
    "latents_mean": None,
    "latents_std": None,
}
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names in an autoencoder saved by diffusers before 0.18, and the current names."""
REST_OF_CLIP = ("logit_scale", "text_projection.", "visual_projection.", "vision_model.")
"""Prefixes of tensors in a text encoder extracted from a CLIP; transformers ignores them."""
TEXT_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")


def unet(fields: Fields) -> dict[str, Shape]:
    """Return names and shapes of a UNet2DConditionModel with the architecture of Stable Diffusion 1.5.

    Raises:
        UvlpError: the configuration is of another architecture.
    """
    fields = levelled(fields)
    fields.only(UNET_ONLY)
    channels = fields.integers("block_out_channels", CHANNELS)
    layers = _layers(fields, len(channels))
    text, time = fields.integer("cross_attention_dim", 1280), 4 * channels[0]
    down = fields.names("down_block_types", DOWN, (PLAIN[0], ATTENDING[0]), len(channels))
    up = fields.names("up_block_types", UP, (PLAIN[1], ATTENDING[1]), len(channels))
    _check_groups(fields, channels, fields.integer("norm_num_groups", 32))
    _check_heads(fields, channels)
    return dict(
        _unet(channels, layers, text, time, [n in ATTENDING for n in down], [n in ATTENDING for n in up])
    )


def levelled(fields: Fields) -> Fields:
    """Return the fields of a UNet with lists of equal values per level replaced by that value."""
    levels = len(fields.integers("block_out_channels", CHANNELS))
    lists = {name: fields.config[name] for name in PER_LEVEL if isinstance(fields.config.get(name), list)}
    same = {name: each[0] for name, each in lists.items() if each == each[:1] * levels}
    return replace(fields, config={**fields.config, **same})


def _layers(fields: Fields, levels: int) -> tuple[int, ...]:
    if isinstance(fields.config.get("layers_per_block"), list):
        layers = fields.integers("layers_per_block", ())
        if len(layers) != levels:
            raise fields.refuse("layers_per_block", list(layers), f"{levels} numbers, or one")
        return layers
    return (fields.integer("layers_per_block", 2, 64),) * levels


def _check_groups(fields: Fields, channels: tuple[int, ...], groups: int) -> None:
    if any(width % groups for width in channels):
        allowed = f"multiples of norm_num_groups, {groups}"
        raise fields.refuse("block_out_channels", list(channels), allowed)


def _check_heads(fields: Fields, channels: tuple[int, ...]) -> None:
    """Check the heads; for diffusers attention_head_dim is their number if num_attention_heads is not set."""
    name = "attention_head_dim" if fields.config.get("num_attention_heads") is None else "num_attention_heads"
    many = isinstance(fields.config.get(name), list | tuple)
    heads = fields.integers(name, ()) if many else (fields.integer(name, 8),) * len(channels)
    if len(heads) != len(channels):
        raise fields.refuse(name, list(heads), f"{len(channels)} numbers, or one")
    for width, count in zip(channels, heads, strict=True):
        if width % count:
            raise fields.refuse(name, count, f"a divisor of {width} channels")


def _unet(
    channels: tuple[int, ...],
    layers: tuple[int, ...],
    text: int,
    time: int,
    down: list[bool],
    up: list[bool],
) -> Tensors:
    yield from layer("conv_in", channels[0], 4, 3, 3)
    yield from layer("time_embedding.linear_1", time, channels[0])
    yield from layer("time_embedding.linear_2", time, time)
    last, before = len(channels) - 1, channels[0]
    for level, width in enumerate(channels):
        name = f"down_blocks.{level}"
        for number in range(layers[level]):
            yield from _residual(f"{name}.resnets.{number}", width if number else before, width, time)
            if down[level]:
                yield from _transformer(f"{name}.attentions.{number}", width, text)
        if level < last:
            yield from layer(f"{name}.downsamplers.0.conv", width, width, 3, 3)
        before = width
    for number in range(2):
        yield from _residual(f"mid_block.resnets.{number}", before, before, time)
    yield from _transformer("mid_block.attentions.0", before, text)
    for level in range(last + 1):
        width, skipped = channels[last - level], channels[max(last - level - 1, 0)]
        name, count = f"up_blocks.{level}", layers[last - level] + 1
        for number in range(count):
            inputs = (width if number else before) + (skipped if number == count - 1 else width)
            yield from _residual(f"{name}.resnets.{number}", inputs, width, time)
            if up[level]:
                yield from _transformer(f"{name}.attentions.{number}", width, text)
        if level < last:
            yield from layer(f"{name}.upsamplers.0.conv", width, width, 3, 3)
        before = width
    yield from layer("conv_norm_out", channels[0])
    yield from layer("conv_out", 4, channels[0], 3, 3)


def layer(name: str, *shape: int, bias: bool = True) -> Tensors:
    """Yield a weight of ``shape`` and its bias."""
    yield f"{name}.weight", shape
    if bias:
        yield f"{name}.bias", shape[:1]


def _residual(name: str, inputs: int, outputs: int, time: int) -> Tensors:
    """Yield two convolutions with normalisations, the time projection, and a shortcut if widths differ."""
    yield from layer(f"{name}.norm1", inputs)
    yield from layer(f"{name}.conv1", outputs, inputs, 3, 3)
    if time:
        yield from layer(f"{name}.time_emb_proj", outputs, time)
    yield from layer(f"{name}.norm2", outputs)
    yield from layer(f"{name}.conv2", outputs, outputs, 3, 3)
    if inputs != outputs:
        yield from layer(f"{name}.conv_shortcut", outputs, inputs, 1, 1)


def _transformer(name: str, width: int, text: int) -> Tensors:
    """Yield self-attention, cross-attention to the text, and a gated layer."""
    yield from layer(f"{name}.norm", width)
    yield from layer(f"{name}.proj_in", width, width, 1, 1)
    block = f"{name}.transformer_blocks.0"
    for number, source in ((1, width), (2, text)):
        yield from layer(f"{block}.norm{number}", width)
        yield from layer(f"{block}.attn{number}.to_q", width, width, bias=False)
        yield from layer(f"{block}.attn{number}.to_k", width, source, bias=False)
        yield from layer(f"{block}.attn{number}.to_v", width, source, bias=False)
        yield from layer(f"{block}.attn{number}.to_out.0", width, width)
    yield from layer(f"{block}.norm3", width)
    yield from layer(f"{block}.ff.net.0.proj", 8 * width, width)
    yield from layer(f"{block}.ff.net.2", width, 4 * width)
    yield from layer(f"{name}.proj_out", width, width, 1, 1)


def downsampling(fields: Fields) -> int:
    """Return the downsampling factor of an autoencoder."""
    return int(2 ** (len(fields.integers("block_out_channels", (64,))) - 1))


def autoencoder(fields: Fields) -> dict[str, Shape]:
    """Return names and shapes of an AutoencoderKL with four latent channels.

    Raises:
        UvlpError: the configuration is of another architecture.
    """
    fields.only(CODER_ONLY)
    fields.positive("scaling_factor", 0.18215)
    channels = fields.integers("block_out_channels", (64,))
    for name, known in zip(("down_block_types", "up_block_types"), CODED, strict=True):
        fields.names(name, (known,), (known,), len(channels))
    _check_groups(fields, channels, fields.integer("norm_num_groups", 32))
    attending = fields.config.get("mid_block_add_attention") is not False
    layers = fields.integer("layers_per_block", 1, 64)
    tensors = dict(_coder("encoder", channels, layers, 3, 8, attending))
    tensors |= _coder("decoder", channels[::-1], layers + 1, 4, 3, attending)
    if fields.config.get("use_quant_conv") is not False:
        tensors |= layer("quant_conv", 8, 8, 1, 1)
    if fields.config.get("use_post_quant_conv") is not False:
        tensors |= layer("post_quant_conv", 4, 4, 1, 1)
    return tensors


def _coder(
    name: str, channels: tuple[int, ...], layers: int, inputs: int, outputs: int, attending: bool
) -> Tensors:
    """Yield one half of an autoencoder, from ``inputs`` to ``outputs`` channels."""
    encodes, before = name == "encoder", channels[0]
    yield from layer(f"{name}.conv_in", channels[0], inputs, 3, 3)
    direction = "down" if encodes else "up"
    for level, width in enumerate(channels):
        for number in range(layers):
            part = f"{name}.{direction}_blocks.{level}.resnets.{number}"
            yield from _residual(part, width if number else before, width, 0)
        if level < len(channels) - 1:
            sampler = f"{name}.{direction}_blocks.{level}.{direction}samplers.0.conv"
            yield from layer(sampler, width, width, 3, 3)
        before = width
    deepest = channels[-1] if encodes else channels[0]
    for number in range(2):
        yield from _residual(f"{name}.mid_block.resnets.{number}", deepest, deepest, 0)
    if attending:
        yield from layer(f"{name}.mid_block.attentions.0.group_norm", deepest)
        for part in ("to_q", "to_k", "to_v", "to_out.0"):
            yield from layer(f"{name}.mid_block.attentions.0.{part}", deepest, deepest)
    yield from layer(f"{name}.conv_norm_out", channels[-1])
    yield from layer(f"{name}.conv_out", outputs, channels[-1], 3, 3)


def text_encoder(fields: Fields) -> dict[str, Shape]:
    """Return names, without the prefix ``text_model.``, and shapes of a CLIPTextModel.

    Raises:
        UvlpError: the configuration is of another architecture.
    """
    width, wide = fields.integer("hidden_size", 512), fields.integer("intermediate_size", 2048)
    heads = fields.integer("num_attention_heads", 8)
    if width % heads:
        raise fields.refuse("num_attention_heads", heads, f"a divisor of hidden_size, {width}")
    return dict(_text_encoder(fields, width, wide))


def is_ignored(fields: Fields, name: str) -> bool:
    """Return whether transformers ignores a tensor of a text encoder's file, named as in `text_encoder`.

    A configuration with fewer layers than the file skips the last ones (clip skip).
    """
    layer = TEXT_LAYER.match(name)
    deeper = layer is not None and int(layer[1]) >= fields.integer("num_hidden_layers", 12, 1024)
    return deeper or name.startswith(REST_OF_CLIP)


def _text_encoder(fields: Fields, width: int, wide: int) -> Tensors:
    yield "embeddings.token_embedding.weight", (fields.integer("vocab_size", 49408), width)
    yield "embeddings.position_embedding.weight", (fields.integer("max_position_embeddings", 77), width)
    for number in range(fields.integer("num_hidden_layers", 12, 1024)):
        name = f"encoder.layers.{number}"
        yield from layer(f"{name}.layer_norm1", width)
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from layer(f"{name}.self_attn.{part}", width, width)
        yield from layer(f"{name}.layer_norm2", width)
        yield from layer(f"{name}.mlp.fc1", wide, width)
        yield from layer(f"{name}.mlp.fc2", width, wide)
    yield from layer("final_layer_norm", width)
