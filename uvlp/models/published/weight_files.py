"""What a file with weights is that lies where the folder of a published model is wanted."""

from __future__ import annotations

from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import safetensors_file
from uvlp.core.files.torchscript import TITLE, is_torchscript
from uvlp.core.wording import first_few
from uvlp.models.published import commands
from uvlp.models.published.commands import BASES
from uvlp.models.published.layout import LAYOUTS, PICKLES
from uvlp.models.published.place import WHOLE, Place

PIPELINE = "name the folder of a pipeline, as save_pretrained writes it"
OPEN_CLIP = f"name a CLIP for open_clip: --set models.clip=openai, or hf-hub:{BASES['clip']}"


def top_file(place: Place) -> UvlpError | None:
    """A checkpoint in one file, where a folder of parts is wanted."""
    if place.part not in WHOLE or place.has("model_index.json", "*/config.json"):
        return None
    name = place.has("*.safetensors", *(f"*{ending}" for ending in PICKLES), top=True)
    return one_file(place, name) if name else None


def one_file(place: Place, name: str) -> UvlpError:
    """What the file ``name`` of a folder is, or the file that was named itself where that is empty."""
    path, title = place.path / name, LAYOUTS[place.part].title
    others = OPEN_CLIP if place.part == "clip" else f"name the folder of {title}"
    fix = PIPELINE if place.part in WHOLE else others
    if is_torchscript(path):
        return place.refuse(TITLE, fix, name)
    if place.part not in WHOLE:
        return UvlpError(f"{title} is read from a folder, and this is a file", got=str(path), fix=fix)
    if path.suffix == ".ckpt":
        fix = f"if you trust its maker, convert it: {commands.from_file(path)}"
        what = f"{title} lies here as one file, not as a folder of its parts"
        return UvlpError(what, got=str(path), fix=fix)
    if path.suffix in PICKLES:
        return place.refuse("pickled weights, which can run any program", PIPELINE, name)
    if path.suffix != ".safetensors":
        return place.refuse("a file", PIPELINE, name)
    return _by_tensors(place, name, path)


def _by_tensors(place: Place, name: str, path: Path) -> UvlpError:
    """What one safetensors file is, by the names of its tensors."""
    try:
        tensors = list(safetensors_file.check(path, "get it again, or name the folder of a pipeline"))
    except UvlpError as error:
        return error
    if any("lora" in tensor.lower() for tensor in tensors) or _is_lycoris(tensors):
        return low_rank(place, name, tensors)
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
            fix=f"convert it: {commands.from_file(path)}",
        )
    got = f"tensors that begin {first_few(sorted(begins))}"
    return place.refuse(
        f"a file of weights without a configuration ({got})",
        PIPELINE,
        name,
    )


def low_rank(place: Place, name: str, tensors: list[str]) -> UvlpError:
    """LoRA weights, for the base model or for another."""
    if _is_lycoris(tensors):
        fix = "bake them into a checkpoint with the program that trained them, and convert that"
        return place.refuse("LyCORIS weights (LoHa, LoKr)", fix, name)
    if any("text_encoder_2" in tensor or "lora_te2" in tensor for tensor in tensors):
        fix = f"name weights for {LAYOUTS['diffusion'].title}"
        return place.refuse("LoRA weights for Stable Diffusion XL", fix, name)
    return place.refuse("LoRA weights", commands.fuse_lora(place.part, place.path / name), name)


def _is_lycoris(tensors: list[str]) -> bool:
    return any(".hada_" in tensor or ".lokr_" in tensor for tensor in tensors)


def tensors_of(path: Path) -> list[str]:
    """Names of the tensors in a file; none where they cannot be read."""
    try:
        return list(safetensors_file.check(path, ""))
    except (UvlpError, OSError):
        return []


def pickled(place: Place) -> UvlpError | None:
    """Weights in pickles where those of the layout are missed."""
    layout = LAYOUTS[place.part]
    for stem in layout.weights:
        if place.has(f"{stem}.safetensors", f"{stem}-*-of-*.safetensors"):
            continue
        folder = f"{stem.rpartition('/')[0]}/" if "/" in stem else ""
        name = place.has(*(f"{folder}*{ending}" for ending in PICKLES))
        if name and name.count("/") == stem.count("/"):
            if is_torchscript(place.path / name):
                return _program(place, name)
            if place.part == "clip" and "open_clip_config.json" not in place.files:
                return place.refuse("pickled weights without open_clip_config.json", OPEN_CLIP, name)
            command = commands.from_pickles(place.part, place.path, name)
            return UvlpError(
                f"{layout.title}: its weights are pickled, and a pickle can run any program",
                got=str(place.path / name),
                allowed="safetensors",
                fix=f"if you trust its maker, convert it: {command}"
                if command
                else "get them as safetensors",
            )
    return None


def _program(place: Place, name: str) -> UvlpError:
    """Weights in TorchScript's form, of a folder where nothing else is missed, or alone."""
    if place.part != "clip":
        return place.refuse(TITLE, "get the weights as safetensors", name)
    if "open_clip_config.json" not in place.files:
        return place.refuse(TITLE, OPEN_CLIP, name)
    command = commands.from_torchscript(place.path, name)
    return place.refuse(TITLE, f"if you trust its maker, convert it: {command}", name)
