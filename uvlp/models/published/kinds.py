"""What a folder or file is that was named in place of a published model, and what can be done about it.

People have their fine-tuned weights in many forms: LoRA, the checkpoint of a training, one file, a network
alone. Each is told by what lies there, before a file is called missing or anything is fetched; commands are
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
from uvlp.models.published.checks import model_checks
from uvlp.models.published.commands import BASES
from uvlp.models.published.layout import LAYOUTS, PICKLES, contents
from uvlp.models.published.place import WHOLE, Place
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
FORMS = {
    ".onnx": "ONNX form",
    ".msgpack": "Flax's form",
    ".h5": "TensorFlow's form",
    ".gguf": "llama.cpp's form (GGUF)",
    ".xml": "OpenVINO's form",
    ".mlpackage": "Core ML's form",
    ".mlmodelc": "Core ML's form",
    ".engine": "TensorRT's form",
    ".plan": "TensorRT's form",
}
NETWORKS = {
    "ControlNetModel": "a ControlNet alone",
    "UNet2DConditionModel": "a UNet alone",
    "AutoencoderKL": "an autoencoder alone",
    "T2IAdapter": "a T2I adapter alone",
    "MotionAdapter": "a motion adapter alone",
}


def recognise(part: str, path: Path, missing: tuple[str, ...]) -> UvlpError | None:
    """The error for a file or folder that is something else than ``part``; None if nothing else is seen.

    Args:
        part: key of `layout.LAYOUTS`.
        path: file or folder.
        missing: files of the part that are not in the folder.

    Raises:
        UvlpError: a configuration names another architecture.
        OSError: it cannot be read.
    """
    place = Place(part, path)
    if path.is_file():
        return one_file(place, "")
    looks: tuple[Callable[[Place], UvlpError | None], ...] = (_pointers, _hub_cache, _adapter)
    found = next((error for look in looks if (error := look(place))), None)
    if found is None:
        model_checks.check_class(part, path)
    if found is not None or not missing:
        return found
    further = (_training, _other_model, _nested, _alone, top_file, _variant, _other_form, pickled)
    return next((error for look in further if (error := look(place))), None)


def _pointers(place: Place) -> UvlpError | None:
    """Git leaves small texts where it was not told to get large files."""
    small = (place.path / name for name in place.files if not name.endswith((".md", ".txt")))
    found = [path for path in small if path.is_file() and _is_pointer(path)]
    if not found:
        return None
    names = first_few(path.relative_to(place.path).as_posix() for path in found)
    return UvlpError(
        f"Git LFS left pointers in place of {len(found)} files: {names}",
        got=str(place.path),
        fix="`git lfs install` and `git lfs pull` in that folder get them",
    )


def _is_pointer(path: Path) -> bool:
    if path.stat().st_size > LONGEST_POINTER_BYTES:
        return False
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def _hub_cache(place: Place) -> UvlpError | None:
    """`models--OWNER--NAME` of the hub's library, or the folder of its snapshots."""
    path = place.path
    above = path.parent if path.name == "snapshots" else path
    if not (above.name.startswith("models--") and (above / "snapshots").is_dir()):
        inner = [name for name in place.folders if name.startswith("models--")]
        if not inner:
            return None
        names = first_few(name.removeprefix("models--").replace("--", "/") for name in inner)
        fix = f"name a repository of it, with HF_HOME set to the folder above: {names}"
        return UvlpError("this is the folder of the hub's library", got=str(path), fix=fix)
    repository = above.name.removeprefix("models--").replace("--", "/")
    whole = [
        folder
        for folder in sorted((above / "snapshots").iterdir())
        if not contents(LAYOUTS[place.part], folder).missing
    ]
    fix = (
        f"name one of its revisions: {first_few(map(str, whole))}" if whole else "name the repository itself"
    )
    return UvlpError(f"this is the hub library's folder of {repository}", got=str(path), fix=fix)


def _adapter(place: Place) -> UvlpError | None:
    """Weights that change a model and are none: LoRA in diffusers', PEFT's and kohya's form, a word's."""
    word = place.has("learned_embeds*.safetensors", "learned_embeds*.bin", top=True)
    if word:
        kind = "a textual inversion, the embedding of a word"
        return place.refuse(kind, "name a model whose UNet was trained: no network was changed here", word)
    lora = place.has("pytorch_lora_weights.*", "*/pytorch_lora_weights.*")
    if lora and not CHECKPOINT.match(lora):
        return low_rank(place, lora, tensors_of(place.path / lora))
    peft = place.has("adapter_config.json", "*/adapter_config.json", "adapter_model.*", "*/adapter_model.*")
    if peft:
        folders = sorted({Path(name).parent.as_posix() for name in place.files if _is_adapter(name)})
        configs = {name: place.config(f"{name}/adapter_config.json") for name in folders}
        fix = commands.merge_adapter(place.part, place.path, configs)
        return place.refuse("LoRA weights in PEFT's form", fix, peft)
    if place.part == "llava" and place.has("mm_projector.bin", "non_lora_trainables.bin", top=True):
        return place.refuse("a part of LLaVA in its authors' own format", commands.CONVERTED_LLAVA)
    return None


def _is_adapter(name: str) -> bool:
    return Path(name).name.startswith(("adapter_config.json", "adapter_model."))


def _training(place: Place) -> UvlpError | None:
    """The checkpoint of a training, or the folder of a training that left no model at its end."""
    checkpoints = sorted(filter(CHECKPOINT.fullmatch, place.folders), key=lambda name: int(name[11:]))
    if checkpoints and not place.has("model_index.json", top=True):
        newest = place.path / checkpoints[-1]
        inner = recognise(place.part, newest, ("",))
        fix = inner.fix if inner else "let the training come to its end"
        return place.refuse(f"checkpoints of a training, the newest {newest.name}", fix)
    if not (CHECKPOINT.fullmatch(place.path.name) or place.has(*TRAINING_FILES, top=True)):
        return None
    unet = next((name for name in ("unet_ema", "unet") if f"{name}/config.json" in place.files), "")
    if place.part in WHOLE and unet:
        roles = {"unet": unet}
        if "text_encoder/config.json" in place.files:
            roles["text_encoder"] = "text_encoder"
        fix = commands.with_networks(roles, place.path)
        return place.refuse("the checkpoint of a training", fix, unet)
    if "controlnet/config.json" in place.files:
        return place.refuse("the checkpoint of a training of a ControlNet", PIPELINE)
    return place.refuse("the checkpoint of a training", "let the training come to its end, or export a model")


def _other_model(place: Place) -> UvlpError | None:
    """Another of the published models, whole."""
    layout = LAYOUTS[place.part]
    for other in LAYOUTS.values():
        part_of_it = set(other.needed) <= set(layout.needed)
        if not part_of_it and not contents(other, place.path).missing:
            what = f"{layout.title} is not in this folder, which holds {other.title}"
            return UvlpError(what, got=str(place.path), fix=f"name the folder with {layout.title}")
    kind = str(place.config("config.json").get("model_type", "")) if place.part != "llava" else ""
    if kind:
        form = "CLIP in transformers' format" if kind == "clip" else f"a model for transformers ({kind})"
        return place.refuse(form, OPEN_CLIP if place.part == "clip" else PIPELINE)
    return None


def _nested(place: Place) -> UvlpError | None:
    """The model lies one folder further down."""
    layout = LAYOUTS[place.part]
    inner = [name for name in place.folders if not contents(layout, place.path / name).missing]
    if not inner:
        return None
    return UvlpError(
        f"{layout.title} lies in a folder in this one",
        got=str(place.path),
        fix=f"did you mean {place.path / inner[0]}?",
    )


def _alone(place: Place) -> UvlpError | None:
    """One network of a pipeline, in the folder itself or in the only subfolder of a pipeline's."""
    if place.part not in WHOLE or place.has("model_index.json", top=True):
        return None
    if sum(f"{folder}/config.json" in place.files for folder in ("unet", "vae", "text_encoder")) > 1:
        return None
    for folder in ("", "unet", "vae", "controlnet"):
        kind = str(place.config(os.path.join(folder, "config.json")).get("_class_name", ""))
        if kind:
            role = {"UNet2DConditionModel": "unet", "AutoencoderKL": "vae"}.get(kind, "")
            fix = commands.with_networks({role: folder}, place.path) if role else PIPELINE
            return place.refuse(NETWORKS.get(kind, f"a {kind} alone"), fix, folder)
    return None


def _variant(place: Place) -> UvlpError | None:
    """All weights that are missed lie there in one variant, such as half precision."""
    layout = LAYOUTS[place.part]
    found: dict[str, str] = {}
    for stem in layout.weights:
        if place.has(f"{stem}.safetensors", f"{stem}.safetensors.index.json"):
            continue
        name = place.has(f"{stem}.*.safetensors", f"{stem}.*-of-*.safetensors")
        if not name:
            return None
        found[stem] = name.removeprefix(stem).split(".")[1].partition("-")[0]
    if not found:
        return None
    variant = next(iter(found.values()))
    return UvlpError(
        f"{layout.title}: its weights are of the variant {variant} alone",
        got=str(place.path),
        allowed=first_few(f"{stem}.safetensors" for stem in found),
        fix=commands.from_variant(place.part, place.path, found),
    )


def _other_form(place: Place) -> UvlpError | None:
    """Weights for another library, where none are there for this one."""
    if place.has("*.safetensors", *(f"*{ending}" for ending in PICKLES)):
        return None
    for name in place.files:
        form = FORMS.get(Path(name).suffix, "")
        if form:
            fix = f"export it as safetensors, or name {BASES.get(place.part, BASES['diffusion'])}"
            return place.refuse(f"weights in {form}", fix, name)
    return None
