"""Assumptions of estimates: counts of operations and bytes, and rates that were not measured on the card.

Operations and bytes of models and networks are counted (`costs.json`, by `benchmarks/costs/count_costs.py`).
A rate is a share of the card's dense peak. Two shares are computed from rates that others measured on an A100
(diffusers' documentation, img2img uncompiled in float16; mosaicml/diffusion's README, a UNet of about this
size) and our count of operations; for other cards and other kinds of work they are assumed. FFCV trains a
ResNet-18 on an A100 at 9,800 images/s of 160 to 192 px, 21 % of its half-precision peak. On the processor of
`measured/benchmarks/evaluation_speed_cpu.md`, one thread multiplies matrices at 55 GFLOP/s; the networks
reached 38 % of that at 16 px and 58 % at 32 px. One image took 9 ms at 256 px (evaluation.md 7); resizing
500 x 375 px to 512 px takes longer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts.task import plain
from uvlp.pipeline.estimates.cards import CARDS
from uvlp.recipes.schema import Recipe

COSTS: Mapping[str, Any] = json.loads((Path(__file__).parent / "costs.json").read_text(encoding="utf-8"))
PUBLISHED: Mapping[str, Any] = COSTS["published"]


TRAINING = {"steps", "batch", "lr", "kl_weight", "ema", "caption_drop", "precision"}
"""Settings of the small models that do not affect shapes."""


def shapes(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that determine the shapes of the models trained from scratch."""
    parts = {part: plain(getattr(recipe, part)) for part in ("embedder", "autoencoder", "diffuser")}
    own = {
        part: {name: value for name, value in settings.items() if name not in TRAINING}
        for part, settings in parts.items()
    }
    return {"image_px": recipe.image_px, **own}


def small_models(recipe: Recipe) -> Mapping[str, Any] | None:
    """Return the counts of the models trained from scratch; None for shapes that were not counted."""
    wanted = shapes(recipe)
    return next((counts for counts in COSTS["small"] if counts["shapes"] == wanted), None)


def network(name: str, size_px: int, width: int = 0) -> Mapping[str, int] | None:
    """Return the counts of a test network; None if it was not counted at this size."""
    key = f"{name} {size_px}" + (f" w{width}" if width else "")
    counts: Mapping[str, int] | None = COSTS["networks"].get(key)
    return counts


def unet_flops(latent_px: int) -> float:
    """Return the operations of the published UNet for one sample; uncounted sides are scaled by area."""
    return _by_side(PUBLISHED["unet_by_side"], latent_px)


def encode_flops(image_px: int) -> float:
    """Return the operations of the published VAE encoder for one image."""
    return _by_side(PUBLISHED["encode_by_side"], image_px // 8)


def _by_side(counted: Mapping[str, int], side: int) -> float:
    if str(side) in counted:
        return counted[str(side)]
    return counted["64"] * (side / 64) ** 2


A100 = CARDS["a100-80gb"].half
CALLS = 38
"""UNet calls per image at strength 0.75 of 50 PNDM steps (methods.md D.3)."""
PAIR, STEP = PUBLISHED["flops"]["unet_pair"], PUBLISHED["flops"]["finetune"]


@dataclass(frozen=True, slots=True)
class Assumed:
    """A number and its source in one line."""

    value: float
    because: str


SYNTHESIS_SHARE = Assumed(
    1.51 * CALLS * PAIR / A100,
    "synthesis at the share that diffusers' documentation reached on an A100, 16 at once: 1.51 images/s",
)
SYNTHESIS_BATCH = 32
"""Batch size if the recipe leaves it to the memory, and the memory is large enough."""
FINETUNE_SHARE = Assumed(
    36 * STEP / A100,
    "fine-tuning at the share that MosaicML reached on an A100 with stored latents of 512 px: 36 images/s",
)
ENCODE_SHARE = Assumed(
    SYNTHESIS_SHARE.value, "the VAE's encoder at the share of the synthesis; no rate was published"
)
SINGLE_SHARE = Assumed(0.5, "CLIP at half of the peak in its precision; no rate was published")
CAPTION_SHARE = Assumed(0.3, "LLaVA reads image and question at 30 % of the peak; no rate was published")
CAPTION_TOKENS = Assumed(
    160, "the longest answer of a batch of captions has 160 tokens; no lengths were published"
)
TOKEN_S = Assumed(0.03, "a token takes 30 ms to start the kernels, or longer to read the weights")
NETWORK_SHARE = Assumed(
    0.1,
    "networks train at 10 % of the TF32 peak, half of FFCV's share on an A100, or 15 ms a step",
)
STEP_S = 0.015
SMALL_SHARE = Assumed(
    0.1, "small models train at 10 % of the peak in their dtype (feasibility.md 3), or 15 ms a step"
)
PROCESSOR_SHARE = Assumed(
    0.4,
    "40 % of one thread's matrix rate, as the digits' networks reach (evaluation_speed_cpu.md)",
)
LARGE_PROCESSOR_SHARE = Assumed(
    0.9,
    "90 % of one thread's matrix rate for published models, as they reached with random weights "
    "(full_chain_cpu.md)",
)
HOST_RATE = Assumed(25e9, "prototypes at 25 GFLOP/s on one thread of the host")
DECODE_S = Assumed(0.02, "20 ms of one core to read and resize an image of 500 x 375 px")
START_S = 10.0
"""Time to load the libraries, once per worker process (feasibility.md 5)."""
CONTEXT_BYTES = 10**9
"""GPU memory that CUDA and its libraries need."""
PROCESS_BYTES = 3 * 10**9
"""Host memory of a process with the model libraries loaded and its batches in flight."""
RECOMPUTED = 0.1
"""Share of a training step's activations that one checkpointed block needs while it is recomputed."""
PNG_BYTES_PER_PIXEL = 1.7
CAPTION_BYTES = 600
