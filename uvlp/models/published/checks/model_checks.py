"""Check the architecture of a model by its configuration and the headers of its weights.

Stable Diffusion 1.5 is a UNet on four-channel latents, conditioned on the text encoder's states; related
models load without an error but generate something else, or fail after an hour. No size is assumed, so a
small model of the same architecture passes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import safetensors_file
from uvlp.core.files.foreign_files import refuse_wrong_content
from uvlp.core.files.safetensors_file import Shapes
from uvlp.models.published.checks import clip_checks, dit_checks, model_tensors, stylegan_checks
from uvlp.models.published.checks.model_fields import (
    BUFFERS,
    Config,
    Fields,
    compare,
    other,
    part_of,
    read_config,
)
from uvlp.models.published.layout import LAYOUTS, Contents

LATENT_CHANNELS = 4
PIPELINES = {
    "StableDiffusionXLPipeline": "Stable Diffusion XL",
    "StableDiffusionXLImg2ImgPipeline": "Stable Diffusion XL",
    "StableDiffusion3Pipeline": "Stable Diffusion 3",
    "FluxPipeline": "FLUX",
    "StableDiffusionInpaintPipeline": "an inpainting model",
    "StableDiffusionXLInpaintPipeline": "Stable Diffusion XL",
    "StableDiffusionLatentUpscalePipeline": "an upscaler",
    "StableDiffusionUpscalePipeline": "an upscaler",
    "StableDiffusionControlNetPipeline": "a pipeline with a ControlNet",
    "StableDiffusionInstructPix2PixPipeline": "InstructPix2Pix",
    "StableDiffusionDepth2ImgPipeline": "a depth-to-image model",
    "StableDiffusionImageVariationPipeline": "an image variation model",
    "LatentConsistencyModelPipeline": "a latent consistency model",
    "FlaxStableDiffusionPipeline": "Stable Diffusion in Flax format",
    "OnnxStableDiffusionPipeline": "Stable Diffusion in ONNX format",
    "StableDiffusionOnnxPipeline": "Stable Diffusion in ONNX format",
}

TEXTS = (".json", ".txt", ".jinja")
COMPONENTS = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "tokenizer": "CLIPTokenizer|CLIPTokenizerFast",
    "scheduler": r"[A-Za-z0-9]+Scheduler",
}
"""Classes that `model_index.json` must list, as patterns."""
BETA_SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")


Tensors = Mapping[str, Shapes]
"""Shapes of the tensors, by stem of the weight files."""


def check(part: str, folder: Path, present: Contents, fix_for: Callable[[Path], str]) -> None:
    """Refuse damaged weights, and weights of an architecture other than that of ``part``.

    Args:
        part: key of `layout.LAYOUTS`.
        present: the files in ``folder``.
        fix_for: returns the fix for a damaged file.

    Raises:
        UvlpError: what is wrong, with the file and the field.
    """
    for name in present.read:
        kind = "model's weights" if name.endswith(".safetensors") else "model's file"
        refuse_wrong_content(folder / name, kind, text=name.endswith(TEXTS))
        if name.endswith(".json"):
            read_config(folder / name)  # checked here for a clear message
    tensors: dict[str, Shapes] = {}
    for stem, files in present.shards.items():
        shapes = {
            name: safetensors_file.check(folder / name, fix_for(folder / name), floats=True) for name in files
        }
        tensors[stem] = {name: shape for shard in shapes.values() for name, shape in shard.items()}
        index = f"{stem}.safetensors.index.json"
        if index in present.read:
            names = {Path(name).name: set(shape) for name, shape in shapes.items()}
            _check_index(folder / index, names, fix_for)
    CHECKS[part](folder, tensors)


def _check_index(path: Path, shards: Mapping[str, set[str]], fix_for: Callable[[Path], str]) -> None:
    """Check that every shard contains its tensors of the index; missing shards were reported before."""
    weight_map = part_of(read_config(path), "weight_map")
    if not weight_map:
        raise UvlpError("an index of shards without shards (weight_map)", got=str(path), fix=fix_for(path))
    for tensor, shard in weight_map.items():
        if tensor not in shards.get(str(shard), set()) and not tensor.endswith(BUFFERS):
            file = path.parent / str(shard)
            raise UvlpError(f"a shard lacks the tensor {tensor}", got=str(file), fix=fix_for(file))


def check_side(folder: Path, setting: str, side_px: int) -> None:
    """Refuse an image side that the autoencoder in ``folder`` cannot downsample evenly.

    Raises:
        UvlpError: the side is not a multiple of the autoencoder's downsampling factor.
    """
    cell = cell_px(folder)
    if side_px % cell:
        allowed = f"a multiple of {cell}, the downsampling factor of {folder / 'vae'}"
        raise UvlpError(f"setting {setting}", got=side_px, allowed=allowed)


def cell_px(folder: Path) -> int:
    """Return the downsampling factor of the autoencoder in ``folder``: pixels per latent along a side."""
    return model_tensors.downsampling(_coder_fields(folder))


def unet_parameters(folder: Path) -> int:
    """Return the number of parameters of the UNet in ``folder``."""
    path = folder / "unet" / "config.json"
    fields = Fields(title=LAYOUTS["diffusion"].title, path=path, config=read_config(path))
    tensors = model_tensors.unet(model_tensors.levelled(fields))
    return sum(math.prod(shape) for shape in tensors.values())


def clip_width(folder: Path) -> int:
    """Return the feature dimension of the CLIP in ``folder``; 0 if its configuration does not state it."""
    width = part_of(read_config(folder / "open_clip_config.json"), "model_cfg").get("embed_dim")
    return width if type(width) is int else 0


def _coder_fields(folder: Path) -> Fields:
    path = folder / "vae" / "config.json"
    return Fields(title=LAYOUTS["autoencoder"].title, path=path, config=read_config(path))


def _autoencoder_config(folder: Path) -> Mapping[str, tuple[int, ...]]:
    """Check the autoencoder's configuration and return the tensors that it must have."""
    fields = _coder_fields(folder)
    title, path, config = fields.title, fields.path, fields.config
    for name, expected in (("_class_name", "AutoencoderKL"), ("latent_channels", LATENT_CHANNELS)):
        if config.get(name) != expected:
            raise other(title, path, name, config.get(name), expected)
    return model_tensors.autoencoder(fields)


def _autoencoder(folder: Path, tensors: Tensors) -> None:
    expected = _autoencoder_config(folder)
    shapes = {_new_name(name): shape for name, shape in tensors["vae/diffusion_pytorch_model"].items()}
    compare(_coder_fields(folder), shapes, expected)


def _new_name(name: str) -> str:
    """Convert the name of an autoencoder's tensor to diffusers' current one."""
    module, _, kind = name.rpartition(".")
    parent, _, part = module.rpartition(".")
    new = model_tensors.OLD_ATTENTION.get(part) if ".attentions." in parent else None
    return f"{parent}.{new}.{kind}" if new else name


def check_class(part: str, folder: Path) -> None:
    """Refuse another architecture, by the configurations that exist.

    Raises:
        UvlpError: the architecture, with the file and the field.
    """
    if part == "diffusion":
        if (folder / "model_index.json").is_file():
            _pipeline(folder)
        if (folder / "unet" / "config.json").is_file():
            _unet_config(folder)
    if part in ("diffusion", "autoencoder") and (folder / "vae" / "config.json").is_file():
        _autoencoder_config(folder)
    if part == "dit":
        dit_checks.check_class(folder)
    if part == "stylegan_xl":
        stylegan_checks.check_class(folder)
    if part == "llava" and (folder / "config.json").is_file():
        clip_checks.llava_config(folder)


def _pipeline(folder: Path) -> None:
    title, index = LAYOUTS["diffusion"].title, folder / "model_index.json"
    config = read_config(index)
    pipeline = str(config.get("_class_name"))
    if pipeline not in ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"):
        raise other(
            title, index, "_class_name", pipeline, "StableDiffusionPipeline", PIPELINES.get(pipeline, "")
        )
    for part, classes in COMPONENTS.items():
        entry = config.get(part)
        if not isinstance(entry, list) or len(entry) != 2 or not re.fullmatch(classes, str(entry[1])):
            raise other(title, index, part, entry, f"a class: {classes.replace('|', ' or ')}")


def _diffusion(folder: Path, tensors: Tensors) -> None:
    title = LAYOUTS["diffusion"].title
    _pipeline(folder)
    _unet(folder, tensors)
    _text_encoder(folder, tensors)
    _autoencoder(folder, tensors)
    _tokenizer(folder)
    path = folder / "scheduler" / "scheduler_config.json"
    fields = Fields(title=title, path=path, config=read_config(path))
    fields.only({"prediction_type": "epsilon"}, "Stable Diffusion 2")
    fields.only({"num_train_timesteps": 1000, "trained_betas": None, "rescale_betas_zero_snr": False})
    if fields.config.get("beta_schedule", "linear") not in BETA_SCHEDULES:
        got = fields.config["beta_schedule"]
        raise fields.refuse("beta_schedule", got, ", ".join(BETA_SCHEDULES))
    for name, default in (("beta_start", 0.0001), ("beta_end", 0.02)):
        if fields.positive(name, default) >= 1:
            raise fields.refuse(name, fields.config[name], "a number below 1")


def _tokenizer(folder: Path) -> None:
    """Check that the tokenizer's ids fit the text encoder's length and vocabulary."""
    title = LAYOUTS["diffusion"].title
    path = folder / "tokenizer" / "tokenizer_config.json"
    text = read_config(folder / "text_encoder" / "config.json")
    length = read_config(path).get("model_max_length") if path.is_file() else None
    most = text.get("max_position_embeddings", 77)
    if type(length) is not int or not 2 <= length <= most:
        raise other(title, path, "model_max_length", length, f"2 to {most}, the text encoder's length")
    vocabularies = (("tokenizer.json", ("model", "vocab")), ("vocab.json", ()))
    for name, parts in vocabularies:
        path = folder / "tokenizer" / name
        if not path.is_file():
            continue
        vocabulary = read_config(path)
        for part in parts:
            vocabulary = part_of(vocabulary, part)
        ids = [number for number in vocabulary.values() if type(number) is int]
        size = text.get("vocab_size", 49408)
        if not ids or len(ids) != len(vocabulary) or min(ids) < 0 or max(ids) >= size:
            got = f"ids up to {max(ids)}" if ids else "no vocabulary"
            raise other(title, path, "its vocabulary", got, f"ids up to {size - 1}, as the text encoder")


def _unet_config(folder: Path) -> Config:
    title = LAYOUTS["diffusion"].title
    path = folder / "unet" / "config.json"
    config = read_config(path)
    if config.get("_class_name") != "UNet2DConditionModel":
        raise other(title, path, "_class_name", config.get("_class_name"), "UNet2DConditionModel")
    if config.get("addition_embed_type"):
        got = config["addition_embed_type"]
        raise other(title, path, "addition_embed_type", got, "null", "Stable Diffusion XL")
    channels = config.get("in_channels")
    if channels != LATENT_CHANNELS:
        known = "an inpainting model" if channels == 2 * LATENT_CHANNELS + 1 else ""
        raise other(title, path, "in_channels", channels, LATENT_CHANNELS, known)
    if config.get("use_linear_projection"):
        raise other(title, path, "use_linear_projection", True, "false", "Stable Diffusion 2")
    model_tensors.unet(Fields(title=title, path=path, config=config))
    return config


def _unet(folder: Path, tensors: Tensors) -> None:
    title = LAYOUTS["diffusion"].title
    path, config = folder / "unet" / "config.json", _unet_config(folder)
    width = read_config(folder / "text_encoder" / "config.json").get("hidden_size")
    fields = model_tensors.levelled(Fields(title=title, path=path, config=config))
    got = fields.config.get("cross_attention_dim")
    if got != width:
        raise fields.refuse("cross_attention_dim", got, f"{width}, the text encoder's hidden_size")
    compare(fields, tensors["unet/diffusion_pytorch_model"], model_tensors.unet(fields))


def _text_encoder(folder: Path, tensors: Tensors) -> None:
    path = folder / "text_encoder" / "config.json"
    fields = Fields(title="the text encoder of its configuration", path=path, config=read_config(path))
    file = {name.removeprefix("text_model."): shape for name, shape in tensors["text_encoder/model"].items()}
    expected = model_tensors.text_encoder(fields)
    read = {name: shape for name, shape in file.items() if not model_tensors.is_ignored(fields, name)}
    compare(fields, read, expected)


def _dit(folder: Path, tensors: Tensors) -> None:
    dit_checks.transformer(folder, tensors)
    _autoencoder(folder, tensors)


CHECKS: Mapping[str, Callable[[Path, Tensors], None]] = {
    "autoencoder": _autoencoder,
    "diffusion": _diffusion,
    "dit": _dit,
    "stylegan_xl": stylegan_checks.check,
    "clip": clip_checks.clip,
    "openai": clip_checks.openai,
    "llava": clip_checks.llava,
}
