"""Suggested commands that convert other formats to the folder layout of a published model.

Tests run each command if a tiny model allows it. `NEW` stands for a folder of the user's choice.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uvlp.models.published.sizes import OPENAI

BASES = {
    "diffusion": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "clip": OPENAI,
    "llava": "llava-hf/llava-1.5-7b-hf",
    "dit": "facebook/DiT-XL-2-256",
}
"""The published base models of fine-tuned weights."""
CONVERTED_LLAVA = f"use the converted repository: --set models.llava={BASES['llava']}"
_PIPELINE = "from diffusers import StableDiffusionPipeline as M"
_BASE = f"M.from_pretrained({BASES['diffusion']!r}"
_CLASSES = {
    "unet": "diffusers.UNet2DConditionModel",
    "vae": "diffusers.AutoencoderKL",
    "text_encoder": "transformers.CLIPTextModel",
}
_SAVE = "save_pretrained('NEW')"


def python(code: str) -> str:
    """Return the shell command that runs ``code``."""
    return f"python -c {shlex.quote(code)}" if re.search(r'["$`\\!]', code) else f'python -c "{code}"'


def _of(path: Path | str) -> str:
    return repr(str(path))


def fuse_lora(part: str, file: Path) -> str:
    """Return the fix for LoRA weights in diffusers' or kohya's format."""
    if part not in ("diffusion", "autoencoder"):
        return "merge them into their base model, and use that folder"
    code = (
        f"{_PIPELINE}; p = {_BASE}, safety_checker=None); "
        f"p.load_lora_weights({_of(file.parent)}, weight_name={file.name!r}); p.fuse_lora(); "
        f"p.unload_lora_weights(); p.{_SAVE}"
    )
    return f"fuse them into the base model and use NEW (needs peft): {python(code)}"


def merge_adapter(part: str, folder: Path, configs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the fix for LoRA weights in PEFT's format.

    Args:
        part: key of `layout.LAYOUTS`.
        folder: the folder that was given.
        configs: `adapter_config.json` by subfolder, ``.`` for the folder itself.
    """
    otherwise = "merge them into their base model, and use that folder"
    if part == "llava":
        base = str(next(iter(configs.values()), {}).get("base_model_name_or_path", ""))
        if not base.startswith("llava-hf/"):
            return f"{otherwise}; {CONVERTED_LLAVA}"
        code = (
            "from peft import PeftModel as P; "
            "from transformers import AutoProcessor as A, LlavaForConditionalGeneration as M; "
            f"P.from_pretrained(M.from_pretrained({base!r}), {_of(folder)}).merge_and_unload().{_SAVE}; "
            f"A.from_pretrained({base!r}).{_SAVE}"
        )
        return f"merge them into the base model and use NEW (needs peft): {python(code)}"
    roles = {name: _role(name, config) for name, config in configs.items()}
    if part not in ("diffusion", "autoencoder") or not all(roles.values()):
        return otherwise
    merged = "".join(
        f"p.{role} = P.from_pretrained(p.{role}, {_of(folder / name)}).merge_and_unload(); "
        for name, role in roles.items()
    )
    code = (
        f"from peft import PeftModel as P; {_PIPELINE}; p = {_BASE}, safety_checker=None); {merged}p.{_SAVE}"
    )
    return f"merge them into the base model and use NEW (needs peft): {python(code)}"


def _role(name: str, config: Mapping[str, Any]) -> str:
    """Return the network of a pipeline that an adapter modifies; empty if none."""
    mapping = config.get("auto_mapping")
    kind = mapping.get("base_model_class") if isinstance(mapping, dict) else ""
    targets = config.get("target_modules")
    modules = targets if isinstance(targets, list) else []
    if name.startswith("text_encoder") or kind == "CLIPTextModel":
        return "text_encoder"
    return "unet" if kind == "UNet2DConditionModel" or "to_q" in modules else ""


def with_networks(roles: Mapping[str, str], folder: Path) -> str:
    """Return the fix for single networks of a pipeline: put them into the base model.

    Args:
        roles: subfolder by the network's name in the pipeline; empty for ``folder`` itself.
    """
    networks = ", ".join(
        f"{role}={_CLASSES[role]}.from_pretrained({_of(folder)}"
        + (f", subfolder={subfolder!r})" if subfolder else ")")
        for role, subfolder in roles.items()
    )
    code = f"import diffusers, transformers; {_PIPELINE}; {_BASE}, {networks}, safety_checker=None).{_SAVE}"
    return f"put it into the base model and use NEW: {python(code)}"


def from_file(path: Path) -> str:
    """Return the command that converts a single-file checkpoint."""
    base = BASES["diffusion"]
    return python(
        f"{_PIPELINE}; M.from_single_file({_of(path)}, config={base!r}, safety_checker=None).{_SAVE}"
    )


def from_variant(part: str, folder: Path, variants: Mapping[str, str]) -> str:
    """Return the fix for weights of a variant, by stem."""
    if part in ("diffusion", "autoencoder"):
        networks = ", ".join(
            f"{role}={_CLASSES[role]}.from_pretrained({_of(folder)}, subfolder={role!r}, variant={variant!r})"
            for role, variant in ((stem.partition("/")[0], kind) for stem, kind in variants.items())
        )
        code = (
            f"import diffusers, transformers; {_PIPELINE}; "
            f"M.from_pretrained({_of(folder)}, {networks}, safety_checker=None).{_SAVE}"
        )
    elif part == "llava":
        code = _llava(folder, f", variant={next(iter(variants.values()))!r}")
    else:
        return "get the weights as safetensors"
    return f"convert it and use NEW: {python(code)}"


def _llava(folder: Path, more: str = "") -> str:
    return (
        "from transformers import AutoProcessor as A, LlavaForConditionalGeneration as M; "
        f"M.from_pretrained({_of(folder)}{more}).{_SAVE}; A.from_pretrained({_of(folder)}).{_SAVE}"
    )


def from_pickles(part: str, folder: Path, name: str) -> str:
    """Return the command that converts pickled weights in a complete folder; empty if none works."""
    if part in ("clip", "openai"):
        # In the same folder, which contains the configuration.
        new = _of(folder / "open_clip_model.safetensors")
        code = (
            f"import torch, safetensors.torch as s; d = torch.load({_of(folder / name)}, weights_only=True); "
            "d = d.get('state_dict', d); "
            "s.save_file({k.removeprefix('module.'): v.clone().contiguous() for k, v in d.items()}, "
            + new
            + ")"
        )
        return python(code)
    if part == "llava":
        return python(_llava(folder))
    if part == "dit":
        return python(f"from diffusers import DiTPipeline as M; M.from_pretrained({_of(folder)}).{_SAVE}")
    if not (folder / "model_index.json").is_file():
        return ""
    return python(f"{_PIPELINE}; M.from_pretrained({_of(folder)}, safety_checker=None).{_SAVE}")


def from_torchscript(folder: Path, name: str) -> str:
    """Return the command that converts OpenAI's CLIP in a folder with a configuration for open_clip."""
    code = (
        "import torch, safetensors.torch as s; "
        f"d = torch.jit.load({_of(folder / name)}, 'cpu').state_dict(); "
        "s.save_file({k: v.contiguous() for k, v in d.items() if v.is_floating_point()}, "
        f"{_of(folder / 'open_clip_model.safetensors')})"
    )
    return python(code)
