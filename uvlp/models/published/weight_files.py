"""Recognise weight files that are not in the layout of a published model."""

from __future__ import annotations

from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import safetensors_file
from uvlp.core.files.torchscript import TITLE, is_torchscript
from uvlp.core.wording import first_few
from uvlp.models.published import commands
from uvlp.models.published.candidate import PIPELINE_PARTS, Candidate
from uvlp.models.published.commands import BASES
from uvlp.models.published.layout import LAYOUTS, PICKLES

PIPELINE = "use the folder of a pipeline, as written by save_pretrained"
OPEN_CLIP = f"use a CLIP for open_clip: --set models.clip=openai, or hf-hub:{BASES['clip']}"


def top_file(candidate: Candidate) -> UvlpError | None:
    """A single-file checkpoint instead of a folder of parts."""
    if candidate.part not in PIPELINE_PARTS or candidate.has("model_index.json", "*/config.json"):
        return None
    name = candidate.has("*.safetensors", *(f"*{ending}" for ending in PICKLES), top=True)
    return one_file(candidate, name) if name else None


def one_file(candidate: Candidate, name: str) -> UvlpError:
    """Return the error for the file ``name`` of a folder, or for the given file if ``name`` is empty."""
    path, title = candidate.path / name, LAYOUTS[candidate.part].title
    others = OPEN_CLIP if candidate.part == "clip" else f"use the folder of {title}"
    fix = PIPELINE if candidate.part in PIPELINE_PARTS else others
    if is_torchscript(path):
        return candidate.refuse(TITLE, fix, name)
    if candidate.part not in PIPELINE_PARTS:
        if path.suffix in PICKLES:
            kind = "pickled weights, which can run any code"
            return candidate.refuse(kind, _as_safetensors(candidate.part), name)
        return UvlpError(f"{title} must be a folder, not a file", got=str(path), fix=fix)
    if path.suffix == ".ckpt":
        fix = f"if you trust its source, convert it: {commands.from_file(path)}"
        what = f"{title} is a single file here, not a folder of its parts"
        return UvlpError(what, got=str(path), fix=fix)
    if path.suffix in PICKLES:
        return candidate.refuse("pickled weights, which can run any code", PIPELINE, name)
    if path.suffix != ".safetensors":
        return candidate.refuse("a file", PIPELINE, name)
    return _by_tensors(candidate, name, path)


def _by_tensors(candidate: Candidate, name: str, path: Path) -> UvlpError:
    """Return the error for one safetensors file, recognised by the names of its tensors."""
    try:
        tensors = list(safetensors_file.check(path, "download it again, or use the folder of a pipeline"))
    except UvlpError as error:
        return error
    if any("lora" in tensor.lower() for tensor in tensors) or _is_lycoris(tensors):
        return low_rank(candidate, name, tensors)
    prefixes = {tensor.partition(".")[0] for tensor in tensors}
    known = {
        "conditioner": "Stable Diffusion XL in one file",
        "cond_stage_model.model": "Stable Diffusion 2 in one file",
        "control_model": "a ControlNet in one file",
        "emb_params": "a textual inversion, the embedding of a word",
        "double_blocks": "FLUX in one file",
    }
    for prefix, kind in known.items():
        if any(tensor.startswith(f"{prefix}.") or tensor == prefix for tensor in tensors):
            return candidate.refuse(kind, f"use {LAYOUTS['diffusion'].title}", name)
    if any(tensor.startswith("model.diffusion_model.") for tensor in tensors):
        return UvlpError(
            f"{LAYOUTS[candidate.part].title} is a single file here, not a folder of its parts",
            got=str(path),
            fix=f"convert it: {commands.from_file(path)}",
        )
    names = f"tensors {first_few(f'{prefix}.*' for prefix in sorted(prefixes))}"
    return candidate.refuse(f"a file of weights without a configuration ({names})", PIPELINE, name)


def low_rank(candidate: Candidate, name: str, tensors: list[str]) -> UvlpError:
    """Return the error for LoRA weights, of the base model or another."""
    if _is_lycoris(tensors):
        fix = "merge them into a checkpoint with the program that trained them, and convert that"
        return candidate.refuse("LyCORIS weights (LoHa, LoKr)", fix, name)
    if any("text_encoder_2" in tensor or "lora_te2" in tensor for tensor in tensors):
        fix = f"use weights for {LAYOUTS['diffusion'].title}"
        return candidate.refuse("LoRA weights for Stable Diffusion XL", fix, name)
    return candidate.refuse("LoRA weights", commands.fuse_lora(candidate.part, candidate.path / name), name)


def _is_lycoris(tensors: list[str]) -> bool:
    return any(".hada_" in tensor or ".lokr_" in tensor for tensor in tensors)


def tensors_of(path: Path) -> list[str]:
    """Return the names of the tensors in a file; none if unreadable."""
    try:
        return list(safetensors_file.check(path, ""))
    except (UvlpError, OSError):
        return []


def pickled(candidate: Candidate) -> UvlpError | None:
    """Pickled weights instead of those of the layout."""
    layout = LAYOUTS[candidate.part]
    for stem in layout.weights:
        if candidate.has(f"{stem}.safetensors", f"{stem}-*-of-*.safetensors"):
            continue
        folder = f"{stem.rpartition('/')[0]}/" if "/" in stem else ""
        name = candidate.has(*(f"{folder}*{ending}" for ending in PICKLES))
        if name and name.count("/") == stem.count("/"):
            if is_torchscript(candidate.path / name):
                return _torchscript(candidate, name)
            if candidate.part == "clip" and "open_clip_config.json" not in candidate.files:
                return candidate.refuse("pickled weights without open_clip_config.json", OPEN_CLIP, name)
            command = commands.from_pickles(candidate.part, candidate.path, name)
            return UvlpError(
                f"{layout.title}: its weights are pickled, and a pickle can run any code",
                got=str(candidate.path / name),
                allowed="safetensors",
                fix=f"if you trust its source, convert it: {command}"
                if command
                else _as_safetensors(candidate.part),
            )
    return None


def _as_safetensors(part: str) -> str:
    """Return the fix for pickled weights that no command converts."""
    return "get them as safetensors" + (" (docs/stylegan_xl.md)" if part == "stylegan_xl" else "")


def _torchscript(candidate: Candidate, name: str) -> UvlpError:
    """Return the error for weights in TorchScript format."""
    if candidate.part != "clip":
        return candidate.refuse(TITLE, "get the weights as safetensors", name)
    if "open_clip_config.json" not in candidate.files:
        return candidate.refuse(TITLE, OPEN_CLIP, name)
    command = commands.from_torchscript(candidate.path, name)
    return candidate.refuse(TITLE, f"if you trust its source, convert it: {command}", name)
