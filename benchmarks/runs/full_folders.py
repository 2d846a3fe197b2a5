"""The published models at full size with random weights, in the file formats of the published ones.

    python -m benchmarks.runs.full_folders FOLDER [diffusion clip llava]

fills `FOLDER/diffusion` (4.3 GB), `FOLDER/clip` (1.7 GB) and `FOLDER/llava` (14 GB); existing
folders are kept. Loading, memory and speed are as with the published weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.runs import full_size
from tests import tiny_models
from uvlp.models.quiet import quiet

SHARD = "5GB"


def diffusion(folder: Path) -> None:
    """Stable Diffusion 1.5 in float32, without a safety checker."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    def built(cls: type[torch.nn.Module], config: Any) -> torch.nn.Module:
        return full_size.build(cls, config, "cpu", torch.float32)

    tiny_models.save_pipeline(
        folder,
        vae=built(AutoencoderKL, full_size.vae_config()),
        text_encoder=built(CLIPTextModel, full_size.text_config()),
        tokenizer=full_size.tokenizer(),
        unet=built(UNet2DConditionModel, full_size.unet_config()),
    )


def clip(folder: Path) -> None:
    """CLIP ViT-L/14 with quick-GELU, float32, as open_clip saves it."""
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    config = {"model_cfg": full_size.clip_config(), "preprocess_cfg": tiny_models.CLIP_PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    model = full_size.build(CLIP, full_size.clip_config(), "cpu", torch.float32)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")


def llava(folder: Path) -> None:
    """LLaVA-1.5-7B in float16, in shards; with the vocabulary of the tests' tiny model."""
    model, processor = full_size.llava("cpu", torch.float16)
    model.save_pretrained(folder, max_shard_size=SHARD)
    processor.save_pretrained(folder)


MODELS: Mapping[str, Callable[[Path], None]] = {"diffusion": diffusion, "clip": clip, "llava": llava}


def make(root: Path, names: list[str]) -> dict[str, Path]:
    """The folders of some models below ``root``; existing folders are kept."""
    for name in names:
        folder, half = root / name, root / f"{name}.half"
        if not folder.is_dir():
            print(f"making {folder}", flush=True)
            shutil.rmtree(half, ignore_errors=True)
            with quiet():
                MODELS[name](half)
            half.rename(folder)
    return {name: root / name for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", choices=[[], *MODELS], default=list(MODELS))
    options = parser.parse_args()
    make(options.folder, list(options.models))


if __name__ == "__main__":
    main()
