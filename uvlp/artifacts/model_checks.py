"""Is a folder the model that it is taken for? Told from its configuration and the headers of its weights.

Stable Diffusion 1.5 is a UNet on latents of four channels that sees the text encoder's states; its cousins
load without complaint and draw something else, or fail after an hour. No size is assumed, so that a small
model of the same kind passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uvlp.artifacts import safetensors_file
from uvlp.artifacts.model_commands import CONVERTED_LLAVA
from uvlp.artifacts.model_files import LAYOUTS, Contents
from uvlp.artifacts.safetensors_file import Shapes
from uvlp.core import json_files
from uvlp.core.errors import UvlpError
from uvlp.core.foreign_files import LONGEST_CONFIGURATION_BYTES, check_text, refuse_impostor
from uvlp.core.wording import first_few

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
LLAVAS = {
    "llava_next": "LLaVA-1.6 (llava_next)",
    "llava_onevision": "LLaVA-OneVision",
    "llava_next_video": "LLaVA-NeXT-Video",
    "video_llava": "Video-LLaVA",
    "vipllava": "ViP-LLaVA",
}
AUTHORS_TYPES = ("llava_llama", "llava_mistral", "llava_mpt", "llava_qwen", "llava_gemma", "llava_phi")
AUTHORS_CLASS = re.compile(r"(Llava|LLaVA)\w*(ForCausalLM|MPT)")

TEXTS = (".json", ".txt", ".jinja")

Config = Mapping[str, Any]
Tensors = Mapping[str, Shapes]
"""Per stem of weights, the shapes of its tensors."""


def check(part: str, folder: Path, found: Contents, mend: Callable[[Path], str]) -> None:
    """Refuse damaged weights, and weights of another architecture than ``part``'s.

    Args:
        part: key of `model_files.LAYOUTS`.
        found: the files in ``folder``.
        mend: what to do about a damaged file.

    Raises:
        UvlpError: what is wrong, with the file and the field.
    """
    for name in found.read:
        kind = "model's weights" if name.endswith(".safetensors") else "model's file"
        refuse_impostor(folder / name, kind, text=name.endswith(TEXTS))
        if name.endswith(".json"):
            _read(folder / name)  # a library that reads it later would fail in its own words
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
    places = _part(_read(path), "weight_map")
    if not places:
        raise UvlpError("an index of shards names none (weight_map)", got=str(path), do=mend(path))
    for tensor, shard in places.items():
        if tensor not in shards.get(str(shard), set()):
            file = path.parent / str(shard)
            raise UvlpError(f"a shard lacks the tensor {tensor}", got=str(file), do=mend(file))


def _read(path: Path) -> Config:
    try:
        check_text(path, "configuration", LONGEST_CONFIGURATION_BYTES)
        value = json_files.parse(path.read_bytes())
    except (OSError, ValueError) as error:
        value = error
    if not isinstance(value, dict):
        raise UvlpError("a configuration cannot be read as JSON", got=str(path), do="get the file again")
    return value


def _part(config: Config, name: str) -> Config:
    """A part of a configuration; an empty one where it is missing or no object."""
    part = config.get(name)
    return part if isinstance(part, dict) else {}


def _other(title: str, path: Path, field: str, got: object, allowed: object, known: str = "") -> UvlpError:
    """The checkpoint is of another architecture: ``field`` of ``path`` says so."""
    what = f"this is {known}, not {title}" if known else f"this is not {title}"
    return UvlpError(f"{what} ({path}, {field})", got=got, allowed=str(allowed))


def _autoencoder(folder: Path, tensors: Tensors) -> None:
    path = folder / "vae" / "config.json"
    config = _read(path)
    title = LAYOUTS["autoencoder"].title
    for name, wanted in (("_class_name", "AutoencoderKL"), ("latent_channels", LATENT_CHANNELS)):
        if config.get(name) != wanted:
            raise _other(title, path, name, config.get(name), wanted)
    shape = tensors["vae/diffusion_pytorch_model"].get("decoder.conv_in.weight", ())
    if shape[1:2] != (LATENT_CHANNELS,):
        raise _other(title, path, "its weights: decoder.conv_in.weight", shape, "four channels in")


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
    if part == "llava" and (folder / "config.json").is_file():
        _llava_config(folder)


def _pipeline(folder: Path) -> None:
    title, index = LAYOUTS["diffusion"].title, folder / "model_index.json"
    pipeline = str(_read(index).get("_class_name"))
    if pipeline not in ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"):
        raise _other(
            title, index, "_class_name", pipeline, "StableDiffusionPipeline", PIPELINES.get(pipeline, "")
        )


def _diffusion(folder: Path, tensors: Tensors) -> None:
    title = LAYOUTS["diffusion"].title
    _pipeline(folder)
    _unet(folder, tensors)
    _text_encoder(folder, tensors)
    _autoencoder(folder, tensors)
    path = folder / "scheduler" / "scheduler_config.json"
    prediction = _read(path).get("prediction_type", "epsilon")
    if prediction != "epsilon":
        raise _other(title, path, "prediction_type", prediction, "epsilon", "Stable Diffusion 2")


def _unet_config(folder: Path) -> Config:
    title = LAYOUTS["diffusion"].title
    path = folder / "unet" / "config.json"
    config = _read(path)
    if config.get("_class_name") != "UNet2DConditionModel":
        raise _other(title, path, "_class_name", config.get("_class_name"), "UNet2DConditionModel")
    if config.get("addition_embed_type"):
        got = config["addition_embed_type"]
        raise _other(title, path, "addition_embed_type", got, "null", "Stable Diffusion XL")
    channels = config.get("in_channels")
    if channels != LATENT_CHANNELS:
        known = "an inpainting model" if channels == 2 * LATENT_CHANNELS + 1 else ""
        raise _other(title, path, "in_channels", channels, LATENT_CHANNELS, known)
    if config.get("use_linear_projection"):
        raise _other(title, path, "use_linear_projection", True, "false", "Stable Diffusion 2")
    return config


def _unet(folder: Path, tensors: Tensors) -> None:
    title = LAYOUTS["diffusion"].title
    path, config = folder / "unet" / "config.json", _unet_config(folder)
    width = _read(folder / "text_encoder" / "config.json").get("hidden_size")
    if config.get("cross_attention_dim") != width:
        got = config.get("cross_attention_dim")
        raise _other(title, path, "cross_attention_dim", got, f"{width}, the text encoder's hidden_size")
    shape = tensors["unet/diffusion_pytorch_model"].get("conv_in.weight", ())
    if shape[1:2] != (LATENT_CHANNELS,):
        raise _other(title, path, "its weights: conv_in.weight", shape, "four channels in")


def _text_encoder(folder: Path, tensors: Tensors) -> None:
    """Every tensor must be there: transformers would draw those that are missing at random."""
    path = folder / "text_encoder" / "config.json"
    layers = _read(path).get("num_hidden_layers")
    parts = (
        "layer_norm1",
        "layer_norm2",
        "mlp.fc1",
        "mlp.fc2",
        *(f"self_attn.{each}_proj" for each in "kqv"),
    )
    modules = ["final_layer_norm"]
    if isinstance(layers, int):
        every = (*parts, "self_attn.out_proj")
        modules += [f"encoder.layers.{number}.{part}" for number in range(layers) for part in every]
    wanted = [f"{module}.{kind}" for module in modules for kind in ("weight", "bias")]
    wanted += [f"embeddings.{each}_embedding.weight" for each in ("token", "position")]
    found = {name.removeprefix("text_model.") for name in tensors["text_encoder/model"]}
    lacking = [name for name in wanted if name not in found]
    if lacking:
        title = "the text encoder of its configuration"
        raise _other(title, path, "its weights", f"no {first_few(lacking)}", f"{len(wanted)} tensors")


def _clip(folder: Path, tensors: Tensors) -> None:
    path = folder / "open_clip_config.json"
    config = _part(_read(path), "model_cfg")
    text = _part(config, "text_cfg")
    width, dimensions = text.get("width", 512), config.get("embed_dim")  # open_clip's own defaults
    wanted = {
        "text_projection": (width, dimensions),
        "token_embedding.weight": (text.get("vocab_size", 49408), width),
        "positional_embedding": (text.get("context_length", 77), width),
    }
    shapes = tensors["open_clip_model"]
    for name, shape in wanted.items():
        got = shapes.get(name, shapes.get(f"text.{name}"))
        if got != shape:
            raise _other("the CLIP of its configuration", path, f"model_cfg against {name}", got, shape)
    image = shapes.get("visual.proj", (0, dimensions))
    if image[1:] != (dimensions,):
        field = "embed_dim against visual.proj"
        raise _other("the CLIP of its configuration", path, field, dimensions, image[1])


def check_quick_gelu(folder: Path, repository: str) -> None:
    """OpenAI's weights give wrong features under the other GELU, and open_clip only warns.

    Which weights are OpenAI's is known of a repository by its name; of somebody's folder it is not, so
    that its configuration has to say which GELU its weights were trained with.

    Raises:
        UvlpError: the field is missing, or false for OpenAI's weights.
    """
    path = folder / "open_clip_config.json"
    value = _part(_read(path), "model_cfg").get("quick_gelu")
    openai = "openai" in repository.lower()
    if value is True or (repository and not openai) or (value is False and not openai):
        return
    what = f'CLIP without quick-GELU: "quick_gelu" in "model_cfg" of {path}'
    if openai:
        do = "take the repository's own configuration"
        raise UvlpError(what, got=value, allowed="true: these are OpenAI's weights", do=do)
    allowed = "true for OpenAI's weights, false for weights trained with plain GELU"
    raise UvlpError(what, got=value, allowed=allowed, do="write the field into that file")


def _openai(folder: Path, tensors: Tensors) -> None:
    """The configuration is open_clip's own; its sizes are compared when the weights are loaded."""
    if "text_projection" not in tensors["open_clip_model"]:
        title = LAYOUTS["openai"].title
        raise _other(title, folder, "its weights", "no text_projection", "weights in open_clip's form")


def _llava_config(folder: Path) -> Config:
    path = folder / "config.json"
    config = _read(path)
    kind = str(config.get("model_type"))
    named = config.get("architectures") or []
    classes = [named] if isinstance(named, str) else [str(name) for name in named]
    if AUTHORS_CLASS.search(" ".join(classes)) or kind in AUTHORS_TYPES or "mm_vision_tower" in config:
        what = f"this is LLaVA in its authors' own format ({path}, model_type and architectures)"
        raise UvlpError(what, got=", ".join([kind, *classes]), do=CONVERTED_LLAVA)
    if kind != "llava":
        raise _other(LAYOUTS["llava"].title, path, "model_type", kind, "llava", LLAVAS.get(kind, ""))
    return config


def _llava(folder: Path, tensors: Tensors) -> None:
    path, config = folder / "config.json", _llava_config(folder)
    width = _part(config, "vision_config").get("hidden_size")
    name = "multi_modal_projector.linear_1.weight"
    shape = next((shape for tensor, shape in tensors["model"].items() if tensor.endswith(name)), ())
    if width is not None and shape[1:2] != (width,):
        raise _other(LAYOUTS["llava"].title, path, f"its weights: {name}", shape, f"width {width}")


CHECKS: Mapping[str, Callable[[Path, Tensors], None]] = {
    "autoencoder": _autoencoder,
    "diffusion": _diffusion,
    "clip": _clip,
    "openai": _openai,
    "llava": _llava,
}
