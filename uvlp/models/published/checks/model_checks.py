"""Is a folder the model that it is taken for? Told from its configuration and the headers of its weights.

Stable Diffusion 1.5 is a UNet on latents of four channels that sees the text encoder's states; its cousins
load without complaint and draw something else, or fail after an hour. No size is assumed, so that a small
model of the same kind passes.
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
from uvlp.models.published.checks import clip_checks, model_tensors
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
    "StableDiffusionDepth2ImgPipeline": "a model on depths",
    "StableDiffusionImageVariationPipeline": "a model of image variations",
    "LatentConsistencyModelPipeline": "a latent consistency model",
    "FlaxStableDiffusionPipeline": "Stable Diffusion in Flax's form",
    "OnnxStableDiffusionPipeline": "Stable Diffusion in ONNX form",
    "StableDiffusionOnnxPipeline": "Stable Diffusion in ONNX form",
}

TEXTS = (".json", ".txt", ".jinja")
COMPONENTS = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "tokenizer": "CLIPTokenizer|CLIPTokenizerFast",
    "scheduler": r"[A-Za-z0-9]+Scheduler",
}
"""What `model_index.json` must name, as patterns."""
BETA_SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")


Tensors = Mapping[str, Shapes]
"""Per stem of weights, the shapes of its tensors."""


def check(part: str, folder: Path, found: Contents, mend: Callable[[Path], str]) -> None:
    """Refuse damaged weights, and weights of another architecture than ``part``'s.

    Args:
        part: key of `layout.LAYOUTS`.
        found: the files in ``folder``.
        mend: what to do about a damaged file.

    Raises:
        UvlpError: what is wrong, with the file and the field.
    """
    for name in found.read:
        kind = "model's weights" if name.endswith(".safetensors") else "model's file"
        refuse_wrong_content(folder / name, kind, text=name.endswith(TEXTS))
        if name.endswith(".json"):
            read_config(folder / name)  # a library that reads it later would fail in its own words
    tensors: dict[str, Shapes] = {}
    for stem, files in found.shards.items():
        shapes = {
            name: safetensors_file.check(folder / name, mend(folder / name), floats=True) for name in files
        }
        tensors[stem] = {name: shape for shard in shapes.values() for name, shape in shard.items()}
        index = f"{stem}.safetensors.index.json"
        if index in found.read:
            _check_index(
                folder / index, {Path(name).name: set(shape) for name, shape in shapes.items()}, mend
            )
    CHECKS[part](folder, tensors)


def _check_index(path: Path, shards: Mapping[str, set[str]], mend: Callable[[Path], str]) -> None:
    """Every shard must hold what the index says of it; that all are there was seen before."""
    places = part_of(read_config(path), "weight_map")
    if not places:
        raise UvlpError("an index of shards names none (weight_map)", got=str(path), fix=mend(path))
    for tensor, shard in places.items():
        if tensor not in shards.get(str(shard), set()) and not tensor.endswith(BUFFERS):
            file = path.parent / str(shard)
            raise UvlpError(f"a shard lacks the tensor {tensor}", got=str(file), fix=mend(file))


def check_side(folder: Path, setting: str, side_px: int) -> None:
    """Refuse images that the autoencoder in ``folder`` cannot halve as often as it does.

    Raises:
        UvlpError: the side is no multiple of what becomes one cell of its latents.
    """
    cell = cell_px(folder)
    if side_px % cell:
        allowed = f"a multiple of {cell}, the pixels of a latent of {folder / 'vae'}"
        raise UvlpError(f"setting {setting}", got=side_px, allowed=allowed)


def cell_px(folder: Path) -> int:
    """Pixels along a side that the autoencoder in ``folder`` makes one of a latent of."""
    return model_tensors.halvings(_coder_fields(folder))


def unet_numbers(folder: Path) -> int:
    """How many numbers the weights of the UNet in ``folder`` have."""
    path = folder / "unet" / "config.json"
    fields = Fields(title=LAYOUTS["diffusion"].title, path=path, config=read_config(path))
    tensors = model_tensors.unet(model_tensors.levelled(fields))
    return sum(math.prod(shape) for shape in tensors.values())


def clip_width(folder: Path) -> int:
    """Numbers of a feature of the CLIP in ``folder``; 0 where its configuration does not say."""
    width = part_of(read_config(folder / "open_clip_config.json"), "model_cfg").get("embed_dim")
    return width if type(width) is int else 0


def _coder_fields(folder: Path) -> Fields:
    path = folder / "vae" / "config.json"
    return Fields(title=LAYOUTS["autoencoder"].title, path=path, config=read_config(path))


def _autoencoder_config(folder: Path) -> Mapping[str, tuple[int, ...]]:
    """The tensors that the autoencoder must have."""
    fields = _coder_fields(folder)
    title, path, config = fields.title, fields.path, fields.config
    for name, wanted in (("_class_name", "AutoencoderKL"), ("latent_channels", LATENT_CHANNELS)):
        if config.get(name) != wanted:
            raise other(title, path, name, config.get(name), wanted)
    return model_tensors.autoencoder(fields)


def _autoencoder(folder: Path, tensors: Tensors) -> None:
    wanted = _autoencoder_config(folder)
    found = {_new_name(name): shape for name, shape in tensors["vae/diffusion_pytorch_model"].items()}
    compare(_coder_fields(folder), found, wanted)


def _new_name(name: str) -> str:
    """Of a tensor of an autoencoder, as diffusers reads it."""
    module, _, kind = name.rpartition(".")
    place, _, part = module.rpartition(".")
    new = model_tensors.OLD_ATTENTION.get(part) if ".attentions." in place else None
    return f"{place}.{new}.{kind}" if new else name


def check_class(part: str, folder: Path) -> None:
    """Refuse another architecture as far as configurations tell; those that are not there tell nothing.

    Raises:
        UvlpError: what it is, with the file and the field.
    """
    if part == "diffusion":
        if (folder / "model_index.json").is_file():
            _pipeline(folder)
        if (folder / "unet" / "config.json").is_file():
            _unet_config(folder)
    if part in ("diffusion", "autoencoder") and (folder / "vae" / "config.json").is_file():
        _autoencoder_config(folder)
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
        found = config.get(part)
        if not isinstance(found, list) or len(found) != 2 or not re.fullmatch(classes, str(found[1])):
            raise other(title, index, part, found, f"a class: {classes.replace('|', ' or ')}")


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
    for name, usual in (("beta_start", 0.0001), ("beta_end", 0.02)):
        if fields.positive(name, usual) >= 1:
            raise fields.refuse(name, fields.config[name], "a number below 1")


def _tokenizer(folder: Path) -> None:
    """Every text must have as many ids as the text encoder reads, and none beyond its table."""
    title = LAYOUTS["diffusion"].title
    path = folder / "tokenizer" / "tokenizer_config.json"
    text = read_config(folder / "text_encoder" / "config.json")
    length = read_config(path).get("model_max_length") if path.is_file() else None
    most = text.get("max_position_embeddings", 77)
    if type(length) is not int or not 2 <= length <= most:
        raise other(title, path, "model_max_length", length, f"2 to {most}, what the text encoder reads")
    vocabularies = (("tokenizer.json", ("model", "vocab")), ("vocab.json", ()))
    for name, parts in vocabularies:
        place = folder / "tokenizer" / name
        if not place.is_file():
            continue
        vocabulary = read_config(place)
        for part in parts:
            vocabulary = part_of(vocabulary, part)
        ids = [number for number in vocabulary.values() if type(number) is int]
        size = text.get("vocab_size", 49408)
        if not ids or len(ids) != len(vocabulary) or min(ids) < 0 or max(ids) >= size:
            got = f"ids up to {max(ids)}" if ids else "no vocabulary"
            raise other(title, place, "its vocabulary", got, f"ids up to {size - 1}, the text encoder's")


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
    found = {name.removeprefix("text_model."): shape for name, shape in tensors["text_encoder/model"].items()}
    wanted = model_tensors.text_encoder(fields)
    read = {name: shape for name, shape in found.items() if not model_tensors.is_beside(fields, name)}
    compare(fields, read, wanted)


CHECKS: Mapping[str, Callable[[Path, Tensors], None]] = {
    "autoencoder": _autoencoder,
    "diffusion": _diffusion,
    "clip": clip_checks.clip,
    "openai": clip_checks.openai,
    "llava": clip_checks.llava,
}
