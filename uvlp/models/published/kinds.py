"""Recognise a folder or file that is not a published model, and suggest a fix.

Fine-tuned weights come in many formats: LoRA, training checkpoints, single files, single networks. Each is
recognised by its files, before any file is reported missing and before anything is fetched; commands are
suggested where they work.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.wording import first_few
from uvlp.models.published import commands
from uvlp.models.published.candidate import PIPELINE_PARTS, Candidate
from uvlp.models.published.checks import model_checks
from uvlp.models.published.commands import BASES
from uvlp.models.published.layout import LAYOUTS, PICKLES, contents
from uvlp.models.published.weight_files import (
    OPEN_CLIP,
    PIPELINE,
    low_rank,
    one_file,
    pickled,
    tensors_of,
    top_file,
)

POINTER = b"version https://git-lfs"
LONGEST_POINTER_BYTES = 1024
CHECKPOINT = re.compile(r"checkpoint-\d+")
TRAINING_FILES = (
    *("optimizer.bin", "optimizer.pt", "optimizer.safetensors", "scheduler.bin", "scaler.pt"),
    *("random_states_*.pkl", "custom_checkpoint_*.pkl", "trainer_state.json", "zero_to_fp32.py"),
)
FORMATS = {
    ".onnx": "ONNX",
    ".msgpack": "Flax",
    ".h5": "TensorFlow",
    ".gguf": "GGUF (llama.cpp)",
    ".xml": "OpenVINO",
    ".mlpackage": "Core ML",
    ".mlmodelc": "Core ML",
    ".engine": "TensorRT",
    ".plan": "TensorRT",
}
NETWORKS = {
    "ControlNetModel": "only a ControlNet",
    "UNet2DConditionModel": "only a UNet",
    "AutoencoderKL": "only an autoencoder",
    "T2IAdapter": "only a T2I adapter",
    "MotionAdapter": "only a motion adapter",
}


def recognise(part: str, path: Path, missing: tuple[str, ...]) -> UvlpError | None:
    """Return the error for a file or folder that is recognised as something other than ``part``, else None.

    Args:
        part: key of `layout.LAYOUTS`.
        path: file or folder.
        missing: files of the part that are missing in the folder.

    Raises:
        UvlpError: a configuration names another architecture.
        OSError: it cannot be read.
    """
    candidate = Candidate(part, path)
    if path.is_file():
        return one_file(candidate, "")
    checks: tuple[Callable[[Candidate], UvlpError | None], ...] = (_pointers, _hub_cache, _adapter)
    recognised = next((error for check in checks if (error := check(candidate))), None)
    if recognised is None:
        model_checks.check_class(part, path)
    if recognised is not None or not missing:
        return recognised
    further = (_training, _other_model, _nested, _single_network, top_file, _variant, _other_format, pickled)
    return next((error for check in further if (error := check(candidate))), None)


def _pointers(candidate: Candidate) -> UvlpError | None:
    """Git LFS pointers, which a clone without LFS contains instead of large files."""
    small = (candidate.path / name for name in candidate.files if not name.endswith((".md", ".txt")))
    pointers = [path for path in small if path.is_file() and _is_pointer(path)]
    if not pointers:
        return None
    names = first_few(path.relative_to(candidate.path).as_posix() for path in pointers)
    return UvlpError(
        f"{len(pointers)} files are Git LFS pointers: {names}",
        got=str(candidate.path),
        fix="run `git lfs install` and `git lfs pull` in that folder",
    )


def _is_pointer(path: Path) -> bool:
    if path.stat().st_size > LONGEST_POINTER_BYTES:
        return False
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def _hub_cache(candidate: Candidate) -> UvlpError | None:
    """A folder `models--OWNER--NAME` of the hub's library, its `snapshots`, or the library's folder."""
    path = candidate.path
    above = path.parent if path.name == "snapshots" else path
    if not (above.name.startswith("models--") and (above / "snapshots").is_dir()):
        inner = [name for name in candidate.folders if name.startswith("models--")]
        if not inner:
            return None
        names = first_few(name.removeprefix("models--").replace("--", "/") for name in inner)
        fix = f"use one of its repositories, with HF_HOME set to the parent folder: {names}"
        return UvlpError("this is the folder of the hub's library", got=str(path), fix=fix)
    repository = above.name.removeprefix("models--").replace("--", "/")
    complete = [
        folder
        for folder in sorted((above / "snapshots").iterdir())
        if not contents(LAYOUTS[candidate.part], folder).missing
    ]
    revisions = first_few(map(str, complete))
    fix = f"use one of its revisions: {revisions}" if complete else "use the repository itself"
    return UvlpError(f"this is the hub library's folder of {repository}", got=str(path), fix=fix)


def _adapter(candidate: Candidate) -> UvlpError | None:
    """Weights that modify a model: LoRA in diffusers', PEFT's or kohya's format, or a textual inversion."""
    word = candidate.has("learned_embeds*.safetensors", "learned_embeds*.bin", top=True)
    if word:
        kind = "a textual inversion, the embedding of a word"
        return candidate.refuse(kind, "use a model with a fine-tuned UNet: this one changes no network", word)
    lora = candidate.has("pytorch_lora_weights.*", "*/pytorch_lora_weights.*")
    if lora and not CHECKPOINT.match(lora):
        return low_rank(candidate, lora, tensors_of(candidate.path / lora))
    peft = candidate.has(
        "adapter_config.json", "*/adapter_config.json", "adapter_model.*", "*/adapter_model.*"
    )
    if peft:
        folders = sorted({Path(name).parent.as_posix() for name in candidate.files if _is_adapter(name)})
        configs = {name: candidate.config(f"{name}/adapter_config.json") for name in folders}
        fix = commands.merge_adapter(candidate.part, candidate.path, configs)
        return candidate.refuse("LoRA weights in PEFT's format", fix, peft)
    if candidate.part == "llava" and candidate.has("mm_projector.bin", "non_lora_trainables.bin", top=True):
        return candidate.refuse("a part of LLaVA in its authors' format", commands.CONVERTED_LLAVA)
    return None


def _is_adapter(name: str) -> bool:
    return Path(name).name.startswith(("adapter_config.json", "adapter_model."))


def _training(candidate: Candidate) -> UvlpError | None:
    """A training checkpoint, or the folder of an unfinished training."""
    checkpoints = sorted(filter(CHECKPOINT.fullmatch, candidate.folders), key=lambda name: int(name[11:]))
    if checkpoints and not candidate.has("model_index.json", top=True):
        newest = candidate.path / checkpoints[-1]
        inner = recognise(candidate.part, newest, ("",))
        fix = inner.fix if inner else "complete the training"
        return candidate.refuse(f"training checkpoints, the newest {newest.name}", fix)
    if not (CHECKPOINT.fullmatch(candidate.path.name) or candidate.has(*TRAINING_FILES, top=True)):
        return None
    unet = next((name for name in ("unet_ema", "unet") if f"{name}/config.json" in candidate.files), "")
    if candidate.part in PIPELINE_PARTS and unet:
        roles = {"unet": unet}
        if "text_encoder/config.json" in candidate.files:
            roles["text_encoder"] = "text_encoder"
        fix = commands.with_networks(roles, candidate.path)
        return candidate.refuse("a training checkpoint", fix, unet)
    if "controlnet/config.json" in candidate.files:
        return candidate.refuse("a training checkpoint of a ControlNet", PIPELINE)
    return candidate.refuse("a training checkpoint", "complete the training, or export a model")


def _other_model(candidate: Candidate) -> UvlpError | None:
    """Another published model, complete."""
    layout = LAYOUTS[candidate.part]
    for other in LAYOUTS.values():
        part_of_it = set(other.needed) <= set(layout.needed)
        if not part_of_it and not contents(other, candidate.path).missing:
            what = f"this folder contains {other.title}, not {layout.title}"
            return UvlpError(what, got=str(candidate.path), fix=f"use the folder of {layout.title}")
    kind = str(candidate.config("config.json").get("model_type", "")) if candidate.part != "llava" else ""
    if kind:
        form = "CLIP in transformers' format" if kind == "clip" else f"a model for transformers ({kind})"
        return candidate.refuse(form, OPEN_CLIP if candidate.part == "clip" else PIPELINE)
    return None


def _nested(candidate: Candidate) -> UvlpError | None:
    """A folder whose subfolder is the model."""
    layout = LAYOUTS[candidate.part]
    inner = [name for name in candidate.folders if not contents(layout, candidate.path / name).missing]
    if not inner:
        return None
    return UvlpError(
        f"{layout.title} is in a subfolder of this folder",
        got=str(candidate.path),
        fix=f"did you mean {candidate.path / inner[0]}?",
    )


def _single_network(candidate: Candidate) -> UvlpError | None:
    """A single network of a pipeline, in the folder itself or in a subfolder."""
    if candidate.part not in PIPELINE_PARTS or candidate.has("model_index.json", top=True):
        return None
    if sum(f"{folder}/config.json" in candidate.files for folder in ("unet", "vae", "text_encoder")) > 1:
        return None
    for folder in ("", "unet", "vae", "controlnet"):
        kind = str(candidate.config(os.path.join(folder, "config.json")).get("_class_name", ""))
        if kind:
            role = {"UNet2DConditionModel": "unet", "AutoencoderKL": "vae"}.get(kind, "")
            fix = commands.with_networks({role: folder}, candidate.path) if role else PIPELINE
            return candidate.refuse(NETWORKS.get(kind, f"only a {kind}"), fix, folder)
    return None


def _variant(candidate: Candidate) -> UvlpError | None:
    """All missing weights exist in one variant, such as half precision."""
    layout = LAYOUTS[candidate.part]
    variants: dict[str, str] = {}
    for stem in layout.weights:
        if candidate.has(f"{stem}.safetensors", f"{stem}.safetensors.index.json"):
            continue
        name = candidate.has(f"{stem}.*.safetensors", f"{stem}.*-of-*.safetensors")
        if not name:
            return None
        variants[stem] = name.removeprefix(stem).split(".")[1].partition("-")[0]
    if not variants:
        return None
    variant = next(iter(variants.values()))
    return UvlpError(
        f"{layout.title}: its weights exist only in the variant {variant}",
        got=str(candidate.path),
        allowed=first_few(f"{stem}.safetensors" for stem in variants),
        fix=commands.from_variant(candidate.part, candidate.path, variants),
    )


def _other_format(candidate: Candidate) -> UvlpError | None:
    """Weights of another library only."""
    if candidate.has("*.safetensors", *(f"*{ending}" for ending in PICKLES)):
        return None
    for name in candidate.files:
        form = FORMATS.get(Path(name).suffix, "")
        if form:
            fix = f"export it as safetensors, or use {BASES.get(candidate.part, BASES['diffusion'])}"
            return candidate.refuse(f"weights in {form} format", fix, name)
    return None
