"""Commands that make a folder of a published model's form out of something else.

Every one is run by a test where a tiny model allows it. `NEW` stands for a folder of the reader's choice.
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
}
"""The published models that somebody's weights belong to."""
CONVERTED_LLAVA = f"name the converted repository: --set models.llava={BASES['llava']}"
_PIPELINE = "from diffusers import StableDiffusionPipeline as M"
_BASE = f"M.from_pretrained({BASES['diffusion']!r}"
_CLASSES = {
    "unet": "diffusers.UNet2DConditionModel",
    "vae": "diffusers.AutoencoderKL",
    "text_encoder": "transformers.CLIPTextModel",
}
_SAVE = "save_pretrained('NEW')"


def python(code: str) -> str:
    """The command for a shell that runs ``code``."""
    return f"python -c {shlex.quote(code)}" if re.search(r'["$`\\!]', code) else f'python -c "{code}"'


def _of(path: Path | str) -> str:
    return repr(str(path))


def fuse_lora(part: str, file: Path) -> str:
    """What to do with LoRA weights in diffusers' or kohya's form."""
    if part not in ("diffusion", "autoencoder"):
        return "merge them into their base model, and name that folder"
    code = (
        f"{_PIPELINE}; p = {_BASE}, safety_checker=None); "
        f"p.load_lora_weights({_of(file.parent)}, weight_name={file.name!r}); p.fuse_lora(); "
        f"p.unload_lora_weights(); p.{_SAVE}"
    )
    return f"fuse them into the base model and name NEW (needs peft): {python(code)}"


def merge_adapter(part: str, folder: Path, configs: Mapping[str, Mapping[str, Any]]) -> str:
    """What to do with LoRA weights in PEFT's form.

    Args:
        part: key of `layout.LAYOUTS`.
        folder: what was named.
        configs: `adapter_config.json` by the folder below it, ``.`` for itself.
    """
    otherwise = "merge them into their base model, and name that folder"
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
        return f"merge them into the base model and name NEW (needs peft): {python(code)}"
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
    return f"merge them into the base model and name NEW (needs peft): {python(code)}"


def _role(name: str, config: Mapping[str, Any]) -> str:
    """The network of a pipeline that an adapter is for; empty if it is for none."""
    mapping = config.get("auto_mapping")
    kind = mapping.get("base_model_class") if isinstance(mapping, dict) else ""
    targets = config.get("target_modules")
    asked = targets if isinstance(targets, list) else []
    if name.startswith("text_encoder") or kind == "CLIPTextModel":
        return "text_encoder"
    return "unet" if kind == "UNet2DConditionModel" or "to_q" in asked else ""


def with_networks(roles: Mapping[str, str], folder: Path) -> str:
    """What to do with networks of a pipeline without the others: put them into the base model.

    Args:
        roles: subfolder by the name that the pipeline has for the network; empty: ``folder`` itself.
    """
    networks = ", ".join(
        f"{role}={_CLASSES[role]}.from_pretrained({_of(folder)}"
        + (f", subfolder={subfolder!r})" if subfolder else ")")
        for role, subfolder in roles.items()
    )
    code = f"import diffusers, transformers; {_PIPELINE}; {_BASE}, {networks}, safety_checker=None).{_SAVE}"
    return f"put it into the base model and name NEW: {python(code)}"


def from_file(path: Path) -> str:
    """The command for a checkpoint in one file."""
    base = BASES["diffusion"]
    return python(
        f"{_PIPELINE}; M.from_single_file({_of(path)}, config={base!r}, safety_checker=None).{_SAVE}"
    )


def from_variant(part: str, folder: Path, variants: Mapping[str, str]) -> str:
    """What to do with weights of a variant, by stem."""
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
    return f"convert it and name NEW: {python(code)}"


def _llava(folder: Path, more: str = "") -> str:
    return (
        "from transformers import AutoProcessor as A, LlavaForConditionalGeneration as M; "
        f"M.from_pretrained({_of(folder)}{more}).{_SAVE}; A.from_pretrained({_of(folder)}).{_SAVE}"
    )


def from_pickles(part: str, folder: Path, name: str) -> str:
    """The command for pickled weights in an otherwise whole folder; empty where none would work."""
    if part in ("clip", "openai"):
        # Beside the old file: the configuration lies there.
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
    if not (folder / "model_index.json").is_file():
        return ""
    return python(f"{_PIPELINE}; M.from_pretrained({_of(folder)}, safety_checker=None).{_SAVE}")


def from_torchscript(folder: Path, name: str) -> str:
    """The command for OpenAI's form of CLIP beside a configuration for open_clip."""
    code = (
        "import torch, safetensors.torch as s; "
        f"d = torch.jit.load({_of(folder / name)}, 'cpu').state_dict(); "
        "s.save_file({k: v.contiguous() for k, v in d.items() if v.is_floating_point()}, "
        f"{_of(folder / 'open_clip_model.safetensors')})"
    )
    return python(code)
