"""The tensors of CLIP and LLaVA, derived from their configurations (see `model_tensors.py`).

For CLIP only the towers of OpenAI's models, a ViT and a transformer, in any size; open_clip checks other
towers when it loads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from uvlp.models.published.checks.model_fields import ANY, Config, Fields, Shape
from uvlp.models.published.checks.model_tensors import Tensors, layer

MODEL = ("embed_dim", "quick_gelu", "vision_cfg", "text_cfg")
VISION = ("image_size", "layers", "width", "patch_size", "head_width")
TEXT = ("context_length", "vocab_size", "width", "heads", "layers", "hf_tokenizer_name", "tokenizer_kwargs")
OPENAI: Config = {
    "embed_dim": 768,
    "vision_cfg": {"image_size": 224, "layers": 24, "width": 1024, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 768, "heads": 12, "layers": 12},
}
"""open_clip's ViT-L-14-quickgelu."""
LLAMA_PARTS = (
    *(f"self_attn.{each}_proj" for each in "qkvo"),
    *(f"mlp.{each}_proj" for each in ("gate", "up", "down")),
    *("input_layernorm", "post_attention_layernorm"),
)
VISION_PARTS = (
    *("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2", "self_attn.out_proj"),
    *(f"self_attn.{each}_proj" for each in "qkv"),
)


def clip(fields: Fields) -> dict[str, Shape] | None:
    """Return the tensors of a CLIP from the ``model_cfg`` of its open_clip configuration; None: other towers.

    Raises:
        UvlpError: a field is not a valid size.
    """
    vision, text = (fields.config.get(name) for name in ("vision_cfg", "text_cfg"))
    if not isinstance(vision, dict) or not isinstance(text, dict):
        return None
    known = ((fields.config, MODEL), (vision, VISION), (text, TEXT))
    if any(set(config) - set(names) for config, names in known) or isinstance(vision.get("layers"), list):
        return None
    towers = replace(fields, config=vision), replace(fields, config=text)
    return dict(_clip(*towers, fields.integer("embed_dim", 512)))


def _clip(vision: Fields, text: Fields, dimensions: int) -> Tensors:
    """Yield the tensors of both towers; the defaults are open_clip's."""
    width, patch = vision.integer("width", 768), vision.integer("patch_size", 16)
    yield from (("visual.class_embedding", (width,)), ("visual.positional_embedding", ANY))
    yield from (("visual.proj", (width, dimensions)), ("visual.conv1.weight", (width, 3, patch, patch)))
    for name in ("ln_pre", "ln_post"):
        yield from layer(f"visual.{name}", width)
    for number in range(vision.integer("layers", 12, 1024)):
        yield from _block(f"visual.transformer.resblocks.{number}", width)
    width = text.integer("width", 512)
    if width % text.integer("heads", 8):
        raise text.refuse("heads", text.config.get("heads"), f"a divisor of width, {width}")
    yield from (("logit_scale", ANY), ("text_projection", (width, dimensions)))
    yield "positional_embedding", (text.integer("context_length", 77), width)
    yield "token_embedding.weight", (text.integer("vocab_size", 49408), width)
    yield from layer("ln_final", width)
    for number in range(text.integer("layers", 12, 1024)):
        yield from _block(f"transformer.resblocks.{number}", width)


def _block(name: str, width: int) -> Tensors:
    for norm in ("ln_1", "ln_2"):
        yield from layer(f"{name}.{norm}", width)
    yield from (
        (f"{name}.attn.in_proj_weight", (3 * width, width)),
        (f"{name}.attn.in_proj_bias", (3 * width,)),
    )
    yield from layer(f"{name}.attn.out_proj", width, width)
    yield from layer(f"{name}.mlp.c_fc", 4 * width, width)
    yield from layer(f"{name}.mlp.c_proj", width, 4 * width)


def llava(fields: Fields) -> list[str]:
    """Return the tensor names of a LLaVA-1.5 as normalised by `llava_name`, without parts of other types.

    Raises:
        UvlpError: a field is not a valid size.
    """
    names = [f"projector.linear_{number}.weight" for number in (1, 2)]
    vision, text = (fields.config.get(f"{name}_config") for name in ("vision", "text"))
    if isinstance(vision, dict) and vision.get("model_type") == "clip_vision_model":
        layers = replace(fields, config=vision).integer("num_hidden_layers", 12, 1024)
        embeddings = ("class_embedding", "patch_embedding.weight", "position_embedding.weight")
        names += [f"vision.embeddings.{name}" for name in embeddings]
        modules = [f"encoder.layers.{number}.{part}" for number in range(layers) for part in VISION_PARTS]
        modules += ["pre_layrnorm", "post_layernorm"]
        names += [f"vision.{module}.{kind}" for module in modules for kind in ("weight", "bias")]
    if isinstance(text, dict) and text.get("model_type") == "llama":
        layers = replace(fields, config=text).integer("num_hidden_layers", 32, 1024)
        modules = [f"layers.{number}.{part}" for number in range(layers) for part in LLAMA_PARTS]
        names += [f"language.{module}.weight" for module in ("embed_tokens", "norm", *modules)]
        tied = fields.config.get("tie_word_embeddings") or text.get("tie_word_embeddings")
        names += [] if tied else ["lm_head.weight"]
    return names


PREFIXES: Mapping[str, str] = {
    "vision_tower.": "vision.",
    "multi_modal_projector.": "projector.",
    "language_model.": "language.",
}


def llava_name(name: str) -> str:
    """Normalise a name across versions of transformers, e.g. to ``language.layers.0.mlp...``."""
    if name.endswith("lm_head.weight"):
        return "lm_head.weight"
    for prefix, short in PREFIXES.items():
        _, matched, rest = name.partition(prefix)
        if matched:
            return short + rest.removeprefix("vision_model.").removeprefix("model.")
    return name
