"""Is a folder the CLIP or the LLaVA that it is taken for? See `model_checks.py`."""

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
"""How names of CLIP's image tower begin, in open_clip's form and in that of MobileCLIP, which it reads."""

Tensors = Mapping[str, Shapes]
"""Per stem of weights, the shapes of its tensors."""


def clip(folder: Path, tensors: Tensors) -> None:
    """Refuse weights that are not those of their configuration, and a tokenizer that is named and not there.

    Raises:
        UvlpError: what is wrong, with the file and the field.
    """
    path = folder / "open_clip_config.json"
    config = part_of(read_config(path), "model_cfg")
    fields = Fields(title="the CLIP of its configuration", path=path, config=config)
    wanted = clip_tensors.clip(fields)
    shapes = _as_read(tensors["open_clip_model"])
    if wanted is None:
        _check_sizes(fields, shapes)
    else:
        compare(fields, shapes, wanted)
    name = part_of(config, "text_cfg").get("hf_tokenizer_name")
    whole = any(
        all((folder / name).is_file() for name in names)
        for names in (("tokenizer.json",), ("vocab.json", "merges.txt"))
    )
    if name and not whole:
        allowed = "tokenizer.json, or vocab.json and merges.txt, beside it"
        raise fields.refuse("hf_tokenizer_name", name, allowed)


def _as_read(shapes: Shapes) -> Shapes:
    """With names as open_clip reads them: a training on several GPUs saves ``module.`` in front of each."""
    if not all(name.startswith("module.") for name in shapes):
        return shapes
    return {name.removeprefix("module."): shape for name, shape in shapes.items()}


def _check_sizes(fields: Fields, shapes: Shapes) -> None:
    """What is told of towers that only open_clip can build, by those of their tensors that have usual names.

    SigLIP's projection of texts is a layer, CoCa's texts have a token more; towers differ.
    """
    if not any(name.startswith(IMAGE_TOWERS) for name in shapes):
        raise fields.refuse("its weights", "no tensor visual.*", "weights in open_clip's form")
    dimensions = fields.config.get("embed_dim")
    text = replace(fields, config=part_of(fields.config, "text_cfg"))
    width, classes = text.whole("width", 512), bool(text.config.get("embed_cls"))  # open_clip's own defaults
    wanted = {
        "text_projection": (width, dimensions),
        "token_embedding.weight": (text.whole("vocab_size", 49408), width),
        "positional_embedding": (text.whole("context_length", 77) + classes, width),
    }
    for name, shape in wanted.items():
        got = shapes.get(name, shapes.get(f"text.{name}", shape))
        if got != shape:
            raise fields.refuse(f"model_cfg against {name}", got, shape)
    image = shapes.get("visual.proj", (0, dimensions))
    if image[1:] != (dimensions,):
        raise fields.refuse("embed_dim against visual.proj", dimensions, image[1])


def check_quick_gelu(folder: Path, repository: str) -> None:
    """OpenAI's weights give wrong features under the other GELU, and open_clip only warns.

    Which weights are OpenAI's is known of a repository by its name; of somebody's folder it is not, so
    that its configuration has to say which GELU its weights were trained with.

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
        fix = "take the repository's own configuration"
        raise UvlpError(what, got=value, allowed="true: these are OpenAI's weights", fix=fix)
    allowed = "true for OpenAI's weights, false for weights trained with plain GELU"
    raise UvlpError(what, got=value, allowed=allowed, fix="write the field into that file")


def openai(folder: Path, tensors: Tensors) -> None:
    """Refuse other weights than those of open_clip's own configuration.

    Raises:
        UvlpError: the first difference.
    """
    shapes = _as_read(tensors["open_clip_model"])
    if "text_projection" not in shapes:
        title = LAYOUTS["openai"].title
        raise other(title, folder, "its weights", "no text_projection", "weights in open_clip's form")
    fields = Fields(title=LAYOUTS["openai"].title, path=folder, config=clip_tensors.OPENAI)
    compare(fields, shapes, clip_tensors.clip(fields) or {})


def llava_config(folder: Path) -> Config:
    """The configuration of a LLaVA-1.5 in transformers' format.

    Raises:
        UvlpError: it is another model's, or in the authors' own format.
    """
    path = folder / "config.json"
    config = read_config(path)
    kind = str(config.get("model_type"))
    named = config.get("architectures") or []
    classes = [named] if isinstance(named, str) else [str(name) for name in named]
    if AUTHORS_CLASS.search(" ".join(classes)) or kind in AUTHORS_TYPES or "mm_vision_tower" in config:
        what = f"this is LLaVA in its authors' own format ({path}, model_type and architectures)"
        raise UvlpError(what, got=", ".join([kind, *classes]), fix=CONVERTED_LLAVA)
    if kind != "llava":
        raise other(LAYOUTS["llava"].title, path, "model_type", kind, "llava", LLAVAS.get(kind, ""))
    return config


def llava(folder: Path, tensors: Tensors) -> None:
    """Refuse weights that lack a tensor, and a processor that does not say how it cuts images.

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
    found = {clip_tensors.llava_name(tensor) for tensor in tensors["model"]}
    lacking = [name for name in clip_tensors.llava(fields) if name not in found]
    if lacking:
        raise fields.refuse("its weights", f"no {first_few(lacking)}", "every tensor of its configuration")
    _check_processor(folder, config)


def _check_processor(folder: Path, config: Config) -> None:
    """How an image becomes tokens; repositories of before 2025 leave it to their model's configuration."""
    path, vision = folder / "processor_config.json", part_of(config, "vision_config")
    processor = read_config(path) if path.is_file() else {}
    usual = {
        "patch_size": vision.get("patch_size", 14),
        "vision_feature_select_strategy": config.get("vision_feature_select_strategy", "default"),
    }
    if vision.get("model_type") == "clip_vision_model":
        usual["num_additional_image_tokens"] = 1  # CLIP's own for a whole image; without it counts differ
    for name, value in usual.items():
        got = processor.get(name)
        if got is None or (name not in PROCESSOR and got != value):
            error = other(LAYOUTS["llava"].title, path, name, got, "what LLaVA-1.5 was trained with")
            entry = json.dumps({"processor_class": "LlavaProcessor", **usual})
            fix = f"take the repository's newest revision, or let {path} hold {entry}"
            raise UvlpError(error.what, got=got, allowed=error.allowed, fix=fix)
