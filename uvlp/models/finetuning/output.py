"""Write the output of the fine-tuning: a Stable Diffusion folder with model card, log and pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uvlp.artifacts.task import deciding
from uvlp.core.files.writing import complete_file
from uvlp.core.seeds import torch_generator
from uvlp.core.wording import in_markdown
from uvlp.models.finetuning.parts import Parts
from uvlp.models.quiet import quiet
from uvlp.recipes.schema import FinetuneSettings

STEPS = 20
"""Sampling steps of a validation picture, as in the published script."""
CARD = """---
license: creativeml-openrail-m
library_name: diffusers
pipeline_tag: text-to-image
tags:
- stable-diffusion
- text-to-image
- diffusers-training
- dataset-distillation
---

# Stable Diffusion fine-tuned on {dataset}

The UNet was trained on the {images} captioned training images of `{dataset}`{variant}, text-to-image as in
diffusers' `train_text_to_image.py`; {weights}. VAE, text encoder, tokenizer and scheduler are the base
model's, byte for byte. Made to distil the dataset, for research.

```python
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained("THIS FOLDER")
```

| | |
| --- | --- |
| base model | {base} |
| base model, SHA-256 of its files | `{base_sha256}` |
| dataset, SHA-256 of its content | `{dataset_sha256}` |
| updates | {updates} of {batch} x {accumulation} images |
| precision | {precision} |
| seed | {seed} |
{settings}

`log.jsonl` holds the loss of every update.

## Licence

CreativeML OpenRAIL-M, the base model's licence, whose restrictions on use hold for this model, too.
"""


def write_card(folder: Path, facts: dict[str, Any], settings: FinetuneSettings) -> None:
    """Write the model card.

    Args:
        facts: the fields of `CARD` besides those derived from the settings.
    """
    rows = [f"| {name} | {json.dumps(value)} |" for name, value in deciding(settings).items()]
    filled = CARD.format(
        **(facts | {"base": in_markdown(facts["base"])}),
        batch=settings.batch,
        accumulation=settings.accumulation,
        weights="the saved weights are the moving average"
        if settings.use_ema
        else "the last weights are saved",
        settings="\n".join(rows),
    )
    (folder / "README.md").write_text(filled, encoding="utf-8")


def write_pipeline(base: Path, files: Sequence[str], unet: Any, folder: Path) -> None:
    """Write the trained UNet to ``folder``, and copy the other ``files`` of ``base``."""
    for name in files:
        if name.partition("/")[0] not in ("unet", "model_index.json"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base / name, folder / name)
    with quiet():
        unet.register_to_config(_name_or_path="")  # otherwise the bytes depend on the path of the base
        unet.save_pretrained(folder / "unet")
    (folder / "model_index.json").write_text(json.dumps(_index(base), indent=2) + "\n", encoding="utf-8")


def _index(base: Path) -> dict[str, Any]:
    """Return the base's index without its path and its safety checker, which would blacken images."""
    original = json.loads((base / "model_index.json").read_text(encoding="utf-8"))
    index = {name: value for name, value in original.items() if name != "_name_or_path"}
    unused = dict.fromkeys(("safety_checker", "feature_extractor", "image_encoder"), [None, None])
    return dict(sorted((index | unused | {"requires_safety_checker": False}).items()))


def draw_pictures(
    parts: Parts, base: Path, prompts: Sequence[str], seed: int, side_px: int, path: Path
) -> None:
    """Draw one picture per prompt, side by side, with the UNet in its current state; write atomically."""
    import diffusers
    from PIL import Image

    name = json.loads((base / "model_index.json").read_text(encoding="utf-8"))["scheduler"][1]
    strip = Image.new("RGB", (side_px * len(prompts), side_px))
    with quiet():
        pipeline: Any = diffusers.StableDiffusionPipeline(
            vae=parts.vae,
            text_encoder=parts.text_encoder,
            tokenizer=parts.tokenizer,
            unet=parts.unet,
            scheduler=getattr(diffusers, name).from_pretrained(
                base, subfolder="scheduler", local_files_only=True
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        for index, prompt in enumerate(prompts):
            generator = torch_generator(seed, "finetune", "validation", index)
            output = pipeline(
                prompt, num_inference_steps=STEPS, generator=generator, height=side_px, width=side_px
            )
            strip.paste(output.images[0], (index * side_px, 0))
    with complete_file(path) as unfinished:
        strip.save(unfinished, format="png")
