"""What a folder or file is that was named in place of a published model, and what can be done about it.

People have their fine-tuned weights in many forms: LoRA, the checkpoint of a training, one file, a network
alone. Each is told by what lies there, before a file is called missing or anything is fetched; commands are
suggested where they work.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files import safetensors_file
from uvlp.core.files.foreign_files import LONGEST_CONFIGURATION_BYTES, check_text
from uvlp.core.wording import first_few
from uvlp.models.published import commands as model_commands
from uvlp.models.published.checks import model_checks
from uvlp.models.published.commands import BASES
from uvlp.models.published.layout import LAYOUTS, PICKLES, contents

WHOLE = {"diffusion": "a pipeline", "autoencoder": "a pipeline"}
PIPELINE = "name the folder of a pipeline, as save_pretrained writes it"
OPEN_CLIP = f"name a CLIP for open_clip: --set models.clip=openai, or hf-hub:{BASES['clip']}"
MOST_FILES = 5_000
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


class _Place:
    """One look at a folder, two levels deep."""

    def __init__(self, part: str, path: Path) -> None:
        self.part, self.path = part, path
        self.whole = "a CLIP for open_clip" if part == "clip" else WHOLE.get(part, LAYOUTS[part].title)

    @cached_property
    def files(self) -> list[str]:
        """Files in the folder and in the folders in it, those at the top first, as paths below it."""
        return list(itertools.islice(self._walk(), MOST_FILES))

    def _walk(self) -> Iterator[str]:
        with os.scandir(self.path) as entries:
            top = sorted(entries, key=lambda entry: (entry.is_dir(), entry.name))
        for entry in top:
            yield entry.name
            if entry.is_dir():
                yield from (f"{entry.name}/{name}" for name in sorted(os.listdir(entry.path)))

    @cached_property
    def folders(self) -> list[str]:
        """Folders at the top."""
        return sorted(entry.name for entry in os.scandir(self.path) if entry.is_dir())

    def has(self, *patterns: str, top: bool = False) -> str:
        """The first file that fits a pattern; empty if none does."""
        names = [name for name in self.files if not top or "/" not in name]
        return next((name for one in patterns for name in names if fnmatch.fnmatchcase(name, one)), "")

    def config(self, name: str) -> Mapping[str, Any]:
        """A configuration; an empty one where it cannot be read."""
        try:
            check_text(self.path / name, "configuration", LONGEST_CONFIGURATION_BYTES)
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (UvlpError, OSError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def refuse(self, kind: str, do: str | None, got: str = "") -> UvlpError:
        """The error for a folder that holds ``kind``."""
        thing = "this is" if self.path.is_file() else "this folder holds"
        return UvlpError(f"{thing} {kind}, not {self.whole}", got=str(self.path / got), do=do)


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
    place = _Place(part, path)
    if path.is_file():
        return _one_file(place, "")
    looks: tuple[Callable[[_Place], UvlpError | None], ...] = (_pointers, _hub_cache, _adapter)
    found = next((error for look in looks if (error := look(place))), None)
    if found is None:
        model_checks.check_class(part, path)
    if found is not None or not missing:
        return found
    further = (_training, _other_model, _nested, _alone, _top_file, _variant, _other_form, _pickled)
    return next((error for look in further if (error := look(place))), None)


def _pointers(place: _Place) -> UvlpError | None:
    """Git leaves small texts where it was not told to get large files."""
    small = (place.path / name for name in place.files if not name.endswith((".md", ".txt")))
    found = [path for path in small if path.is_file() and _is_pointer(path)]
    if not found:
        return None
    names = first_few(path.relative_to(place.path).as_posix() for path in found)
    return UvlpError(
        f"Git LFS left pointers in place of {len(found)} files: {names}",
        got=str(place.path),
        do="`git lfs install` and `git lfs pull` in that folder get them",
    )


def _is_pointer(path: Path) -> bool:
    if path.stat().st_size > LONGEST_POINTER_BYTES:
        return False
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def _hub_cache(place: _Place) -> UvlpError | None:
    """`models--OWNER--NAME` of the hub's library, or the folder of its snapshots."""
    path = place.path
    above = path.parent if path.name == "snapshots" else path
    if not (above.name.startswith("models--") and (above / "snapshots").is_dir()):
        inner = [name for name in place.folders if name.startswith("models--")]
        if not inner:
            return None
        names = first_few(name.removeprefix("models--").replace("--", "/") for name in inner)
        do = f"name a repository of it, with HF_HOME set to the folder above: {names}"
        return UvlpError("this is the folder of the hub's library", got=str(path), do=do)
    repository = above.name.removeprefix("models--").replace("--", "/")
    whole = [
        folder
        for folder in sorted((above / "snapshots").iterdir())
        if not contents(LAYOUTS[place.part], folder).missing
    ]
    do = f"name one of its revisions: {first_few(map(str, whole))}" if whole else "name the repository itself"
    return UvlpError(f"this is the hub library's folder of {repository}", got=str(path), do=do)


def _adapter(place: _Place) -> UvlpError | None:
    """Weights that change a model and are none: LoRA in diffusers', PEFT's and kohya's form, a word's."""
    word = place.has("learned_embeds*.safetensors", "learned_embeds*.bin", top=True)
    if word:
        kind = "a textual inversion, the embedding of a word"
        return place.refuse(kind, "name a model whose UNet was trained: no network was changed here", word)
    lora = place.has("pytorch_lora_weights.*", "*/pytorch_lora_weights.*")
    if lora and not CHECKPOINT.match(lora):
        return _lora(place, lora, _tensors(place.path / lora))
    peft = place.has("adapter_config.json", "*/adapter_config.json", "adapter_model.*", "*/adapter_model.*")
    if peft:
        folders = sorted({Path(name).parent.as_posix() for name in place.files if _is_adapter(name)})
        configs = {name: place.config(f"{name}/adapter_config.json") for name in folders}
        do = model_commands.merge_adapter(place.part, place.path, configs)
        return place.refuse("LoRA weights in PEFT's form", do, peft)
    if place.part == "llava" and place.has("mm_projector.bin", "non_lora_trainables.bin", top=True):
        return place.refuse("a part of LLaVA in its authors' own format", model_commands.CONVERTED_LLAVA)
    return None


def _lora(place: _Place, name: str, tensors: list[str]) -> UvlpError:
    """LoRA weights, for the base model or for another."""
    if _is_lycoris(tensors):
        do = "bake them into a checkpoint with the program that trained them, and convert that"
        return place.refuse("LyCORIS weights (LoHa, LoKr)", do, name)
    if any("text_encoder_2" in tensor or "lora_te2" in tensor for tensor in tensors):
        do = f"name weights for {LAYOUTS['diffusion'].title}"
        return place.refuse("LoRA weights for Stable Diffusion XL", do, name)
    return place.refuse("LoRA weights", model_commands.fuse_lora(place.part, place.path / name), name)


def _is_lycoris(tensors: list[str]) -> bool:
    return any(".hada_" in tensor or ".lokr_" in tensor for tensor in tensors)


def _tensors(path: Path) -> list[str]:
    """Names of the tensors in a file; none where they cannot be read."""
    try:
        return list(safetensors_file.check(path, ""))
    except (UvlpError, OSError):
        return []


def _is_adapter(name: str) -> bool:
    return Path(name).name.startswith(("adapter_config.json", "adapter_model."))


def _training(place: _Place) -> UvlpError | None:
    """The checkpoint of a training, or the folder of a training that left no model at its end."""
    checkpoints = sorted(filter(CHECKPOINT.fullmatch, place.folders), key=lambda name: int(name[11:]))
    if checkpoints and not place.has("model_index.json", top=True):
        newest = place.path / checkpoints[-1]
        inner = recognise(place.part, newest, ("",))
        do = inner.do if inner else "let the training come to its end"
        return place.refuse(f"checkpoints of a training, the newest {newest.name}", do)
    if not (CHECKPOINT.fullmatch(place.path.name) or place.has(*TRAINING_FILES, top=True)):
        return None
    unet = next((name for name in ("unet_ema", "unet") if f"{name}/config.json" in place.files), "")
    if place.part in WHOLE and unet:
        roles = {"unet": unet}
        if "text_encoder/config.json" in place.files:
            roles["text_encoder"] = "text_encoder"
        do = model_commands.with_networks(roles, place.path)
        return place.refuse("the checkpoint of a training", do, unet)
    if "controlnet/config.json" in place.files:
        return place.refuse("the checkpoint of a training of a ControlNet", PIPELINE)
    return place.refuse("the checkpoint of a training", "let the training come to its end, or export a model")


def _other_model(place: _Place) -> UvlpError | None:
    """Another of the published models, whole."""
    layout = LAYOUTS[place.part]
    for other in LAYOUTS.values():
        part_of_it = set(other.needed) <= set(layout.needed)
        if not part_of_it and not contents(other, place.path).missing:
            what = f"{layout.title} is not in this folder, which holds {other.title}"
            return UvlpError(what, got=str(place.path), do=f"name the folder with {layout.title}")
    kind = str(place.config("config.json").get("model_type", "")) if place.part != "llava" else ""
    if kind:
        form = "CLIP in transformers' format" if kind == "clip" else f"a model for transformers ({kind})"
        return place.refuse(form, OPEN_CLIP if place.part == "clip" else PIPELINE)
    return None


def _nested(place: _Place) -> UvlpError | None:
    """The model lies one folder further down."""
    layout = LAYOUTS[place.part]
    inner = [name for name in place.folders if not contents(layout, place.path / name).missing]
    if not inner:
        return None
    return UvlpError(
        f"{layout.title} lies in a folder in this one",
        got=str(place.path),
        do=f"did you mean {place.path / inner[0]}?",
    )


def _alone(place: _Place) -> UvlpError | None:
    """One network of a pipeline, in the folder itself or in the only subfolder of a pipeline's."""
    if place.part not in WHOLE or place.has("model_index.json", top=True):
        return None
    if sum(f"{folder}/config.json" in place.files for folder in ("unet", "vae", "text_encoder")) > 1:
        return None
    for folder in ("", "unet", "vae", "controlnet"):
        kind = str(place.config(os.path.join(folder, "config.json")).get("_class_name", ""))
        if kind:
            role = {"UNet2DConditionModel": "unet", "AutoencoderKL": "vae"}.get(kind, "")
            do = model_commands.with_networks({role: folder}, place.path) if role else PIPELINE
            return place.refuse(NETWORKS.get(kind, f"a {kind} alone"), do, folder)
    return None


def _top_file(place: _Place) -> UvlpError | None:
    """A checkpoint in one file, where a folder of parts is wanted."""
    if place.part not in WHOLE or place.has("model_index.json", "*/config.json"):
        return None
    name = place.has("*.safetensors", *(f"*{ending}" for ending in PICKLES), top=True)
    return _one_file(place, name) if name else None


def _one_file(place: _Place, name: str) -> UvlpError:
    path, title = place.path / name, LAYOUTS[place.part].title
    if place.part not in WHOLE:
        do = OPEN_CLIP if place.part == "clip" else f"name the folder of {title}"
        return UvlpError(f"{title} is read from a folder, and this is a file", got=str(path), do=do)
    if path.suffix == ".ckpt":
        do = f"if you trust its maker, convert it: {model_commands.from_file(path)}"
        what = f"{title} lies here as one file, not as a folder of its parts"
        return UvlpError(what, got=str(path), do=do)
    if path.suffix in PICKLES:
        return place.refuse("pickled weights, which can run any program", PIPELINE, name)
    if path.suffix != ".safetensors":
        return place.refuse("a file", PIPELINE, name)
    return _by_tensors(place, name, path)


def _by_tensors(place: _Place, name: str, path: Path) -> UvlpError:
    """What one safetensors file is, by the names of its tensors."""
    try:
        tensors = list(safetensors_file.check(path, "get it again, or name the folder of a pipeline"))
    except UvlpError as error:
        return error
    if any("lora" in tensor.lower() for tensor in tensors) or _is_lycoris(tensors):
        return _lora(place, name, tensors)
    begins = {tensor.partition(".")[0] for tensor in tensors}
    known = {
        "conditioner": "Stable Diffusion XL in one file",
        "cond_stage_model.model": "Stable Diffusion 2 in one file",
        "control_model": "a ControlNet in one file",
        "emb_params": "a textual inversion, the embedding of a word",
        "double_blocks": "FLUX in one file",
    }
    for begin, kind in known.items():
        if any(tensor.startswith(f"{begin}.") or tensor == begin for tensor in tensors):
            return place.refuse(kind, f"name {LAYOUTS['diffusion'].title}", name)
    if any(tensor.startswith("model.diffusion_model.") for tensor in tensors):
        return UvlpError(
            f"{LAYOUTS[place.part].title} lies here as one file, not as a folder of its parts",
            got=str(path),
            do=f"convert it: {model_commands.from_file(path)}",
        )
    got = f"tensors that begin {first_few(sorted(begins))}"
    return place.refuse(
        f"a file of weights without a configuration ({got})",
        PIPELINE,
        name,
    )


def _variant(place: _Place) -> UvlpError | None:
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
        do=model_commands.from_variant(place.part, place.path, found),
    )


def _other_form(place: _Place) -> UvlpError | None:
    """Weights for another library, where none are there for this one."""
    if place.has("*.safetensors", *(f"*{ending}" for ending in PICKLES)):
        return None
    for name in place.files:
        form = FORMS.get(Path(name).suffix, "")
        if form:
            do = f"export it as safetensors, or name {BASES.get(place.part, BASES['diffusion'])}"
            return place.refuse(f"weights in {form}", do, name)
    return None


def _pickled(place: _Place) -> UvlpError | None:
    """Weights in pickles where those of the layout are missed."""
    layout = LAYOUTS[place.part]
    for stem in layout.weights:
        if place.has(f"{stem}.safetensors", f"{stem}-*-of-*.safetensors"):
            continue
        folder = f"{stem.rpartition('/')[0]}/" if "/" in stem else ""
        name = place.has(*(f"{folder}*{ending}" for ending in PICKLES))
        if name and name.count("/") == stem.count("/"):
            if place.part == "clip" and "open_clip_config.json" not in place.files:
                return place.refuse("pickled weights without open_clip_config.json", OPEN_CLIP, name)
            command = model_commands.from_pickles(place.part, place.path, name)
            return UvlpError(
                f"{layout.title}: its weights are pickled, and a pickle can run any program",
                got=str(place.path / name),
                allowed="safetensors",
                do=f"if you trust its maker, convert it: {command}" if command else "get them as safetensors",
            )
    return None
