"""Check the architecture of a CLIP or LLaVA; see `model_checks.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files.safetensors_file import Shapes
from uvlp.core.wording import first_few
from uvlp.models.published.checks import clip_tensors
from uvlp.models.published.checks.model_fields import Config, Fields, compare, other, part_of, read_config
from uvlp.models.published.commands import CONVERTED_LLAVA
from uvlp.models.published.layout import LAYOUTS

LLAVAS = {
    "llava_next": "LLaVA-1.6 (llava_next)",
    "llava_onevision": "LLaVA-OneVision",
    "llava_next_video": "LLaVA-NeXT-Video",
    "video_llava": "Video-LLaVA",
    "vipllava": "ViP-LLaVA",
}
AUTHORS_TYPES = ("llava_llama", "llava_mistral", "llava_mpt", "llava_qwen", "llava_gemma", "llava_phi")
AUTHORS_CLASS = re.compile(r"(Llava|LLaVA)\w*(ForCausalLM|MPT)")
PROCESSOR = ("patch_size", "vision_feature_select_strategy")
IMAGE_TOWERS = ("visual.", "image_encoder.")
"""Prefixes of CLIP's image tower, in open_clip's format and in that of MobileCLIP, which it reads."""

Tensors = Mapping[str, Shapes]
"""Shapes of the tensors, by stem of the weight files."""


def clip(folder: Path, tensors: Tensors) -> None:
    """Refuse weights that do not match their configuration, and a missing tokenizer.

    Raises:
        UvlpError: what is wrong, with the file and the field.
    """
    path = folder / "open_clip_config.json"
    config = part_of(read_config(path), "model_cfg")
    fields = Fields(title="the CLIP of its configuration", path=path, config=config)
    expected = clip_tensors.clip(fields)
    shapes = _as_read(tensors["open_clip_model"])
    if expected is None:
        _check_sizes(fields, shapes)
    else:
        compare(fields, shapes, expected)
    name = part_of(config, "text_cfg").get("hf_tokenizer_name")
    complete = any(
        all((folder / name).is_file() for name in names)
        for names in (("tokenizer.json",), ("vocab.json", "merges.txt"))
    )
    if name and not complete:
        allowed = "tokenizer.json, or vocab.json and merges.txt, in the same folder"
        raise fields.refuse("hf_tokenizer_name", name, allowed)


def _as_read(shapes: Shapes) -> Shapes:
    """Remove the prefix ``module.`` of a training on several GPUs, as open_clip does."""
    if not all(name.startswith("module.") for name in shapes):
        return shapes
    return {name.removeprefix("module."): shape for name, shape in shapes.items()}


def _check_sizes(fields: Fields, shapes: Shapes) -> None:
    """Check other towers, which only open_clip can build, by the tensors that most of them have.

    SigLIP's text projection is a layer, CoCa's texts have one more token; towers differ.
    """
    if not any(name.startswith(IMAGE_TOWERS) for name in shapes):
        raise fields.refuse("its weights", "no tensor visual.*", "weights in open_clip's format")
    dimensions = fields.config.get("embed_dim")
    text = replace(fields, config=part_of(fields.config, "text_cfg"))
    width, classes = text.integer("width", 512), bool(text.config.get("embed_cls"))  # open_clip's defaults
    expected = {
        "text_projection": (width, dimensions),
        "token_embedding.weight": (text.integer("vocab_size", 49408), width),
        "positional_embedding": (text.integer("context_length", 77) + classes, width),
    }
    for name, shape in expected.items():
        got = shapes.get(name, shapes.get(f"text.{name}", shape))
        if got != shape:
            raise fields.refuse(f"shape of {name}", got, shape)
    image = shapes.get("visual.proj", (0, dimensions))
    if image[1:] != (dimensions,):
        raise fields.refuse("embed_dim", dimensions, f"{image[1]}, as visual.proj")


def check_quick_gelu(folder: Path, repository: str) -> None:
    """Check the GELU of a CLIP: with plain GELU OpenAI's weights give wrong features; open_clip only warns.

    A repository with OpenAI's weights is recognised by its name. A folder is not, so its configuration must
    state the GELU with which its weights were trained.

    Raises:
        UvlpError: the field is missing, or false for OpenAI's weights.
    """
    path = folder / "open_clip_config.json"
    value = part_of(read_config(path), "model_cfg").get("quick_gelu")
    openai = "openai" in repository.lower()
    if value is True or (repository and not openai) or (value is False and not openai):
        return
    what = f'CLIP without quick-GELU: "quick_gelu" in "model_cfg" of {path}'
    if openai:
        fix = "use the repository's configuration"
        raise UvlpError(what, got=value, allowed="true: these are OpenAI's weights", fix=fix)
    allowed = "true for OpenAI's weights, false for weights trained with plain GELU"
    raise UvlpError(what, got=value, allowed=allowed, fix="add the field to that file")


def openai(folder: Path, tensors: Tensors) -> None:
    """Refuse weights that do not match open_clip's configuration.

    Raises:
        UvlpError: the first difference.
    """
    shapes = _as_read(tensors["open_clip_model"])
    if "text_projection" not in shapes:
        title = LAYOUTS["openai"].title
        raise other(title, folder, "its weights", "no text_projection", "weights in open_clip's format")
    fields = Fields(title=LAYOUTS["openai"].title, path=folder, config=clip_tensors.OPENAI)
    compare(fields, shapes, clip_tensors.clip(fields) or {})


def llava_config(folder: Path) -> Config:
    """Return the configuration of a LLaVA-1.5 in transformers' format.

    Raises:
        UvlpError: it is of another model, or in the authors' format.
    """
    path = folder / "config.json"
    config = read_config(path)
    kind = str(config.get("model_type"))
    names = config.get("architectures") or []
    classes = [names] if isinstance(names, str) else [str(name) for name in names]
    if AUTHORS_CLASS.search(" ".join(classes)) or kind in AUTHORS_TYPES or "mm_vision_tower" in config:
        what = f"this is LLaVA in its authors' format ({path}, model_type and architectures)"
        raise UvlpError(what, got=", ".join([kind, *classes]), fix=CONVERTED_LLAVA)
    if kind != "llava":
        raise other(LAYOUTS["llava"].title, path, "model_type", kind, "llava", LLAVAS.get(kind, ""))
    return config


def llava(folder: Path, tensors: Tensors) -> None:
    """Refuse weights that lack a tensor, and a processor without the size of image patches.

    Raises:
        UvlpError: what is wrong, with the file and the field.
    """
    path, config = folder / "config.json", llava_config(folder)
    width = part_of(config, "vision_config").get("hidden_size")
    name = "multi_modal_projector.linear_1.weight"
    shape = next((shape for tensor, shape in tensors["model"].items() if tensor.endswith(name)), ())
    if width is not None and shape[1:2] != (width,):
        raise other(LAYOUTS["llava"].title, path, f"its weights: {name}", shape, f"width {width}")
    fields = Fields(title=LAYOUTS["llava"].title, path=path, config=config)
    names = {clip_tensors.llava_name(tensor) for tensor in tensors["model"]}
    lacking = [name for name in clip_tensors.llava(fields) if name not in names]
    if lacking:
        raise fields.refuse("its weights", f"no {first_few(lacking)}", "every tensor of its configuration")
    _check_processor(folder, config)


def _check_processor(folder: Path, config: Config) -> None:
    """Check how an image becomes tokens; before 2025 only the model's configuration stated it."""
    path, vision = folder / "processor_config.json", part_of(config, "vision_config")
    processor = read_config(path) if path.is_file() else {}
    expected = {
        "patch_size": vision.get("patch_size", 14),
        "vision_feature_select_strategy": config.get("vision_feature_select_strategy", "default"),
    }
    if vision.get("model_type") == "clip_vision_model":
        expected["num_additional_image_tokens"] = 1  # CLIP's class token; without it the counts differ
    for name, value in expected.items():
        got = processor.get(name)
        if got is None or (name not in PROCESSOR and got != value):
            error = other(LAYOUTS["llava"].title, path, name, got, "the value of LLaVA-1.5's training")
            entry = json.dumps({"processor_class": "LlavaProcessor", **expected})
            fix = f"use the repository's newest revision, or write {entry} to {path}"
            raise UvlpError(error.what, got=got, allowed=error.allowed, fix=fix)
