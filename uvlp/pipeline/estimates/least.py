"""Minimum disk usage of artifacts, so that a disk is refused only if it is certainly too small.

Arrays and weights have the size of their numbers. A PNG has at least 1/1032 of its pixels, the limit of
deflate. Texts and the weights of small networks are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from uvlp.artifacts.task import Task
from uvlp.core.wording import first_few
from uvlp.models.published.checks import model_checks
from uvlp.models.published.layout import LAYOUTS, contents
from uvlp.pipeline.downloads.disk import Wanted
from uvlp.pipeline.estimates.assumptions import PUBLISHED
from uvlp.pipeline.estimates.cost import HALF, SINGLE
from uvlp.pipeline.estimates.distilling import CLIP_WIDTH, LATENT_CHANNELS
from uvlp.pipeline.prepare import Plan
from uvlp.recipes.limits import CELL_PX
from uvlp.recipes.schema import ModelSettings, SynthesisSettings

DEFLATE = 1032
"""Largest compression ratio of deflate (zlib's technical details)."""
MOMENTS = 2
WIDTH, FEATURES = 64, 8
"""Network of `represent`: default channels of its first stage, and features per channel."""


UNFINISHED = ("partial", ".tmp")
"""Folders of a store with parts of unfinished artifacts, whose space is already used."""


class Least(NamedTuple):
    """Bytes of an artifact: permanent ones, and additional ones until it is complete."""

    kept: int = 0
    temporary: int = 0


def least(task: Task, plan: Plan) -> Least:
    """Return the minimum of ``task``; 0 for a dataset that is not present, whose counts are uncertain."""
    images = plan.manifest.count("train") if plan.dataset is not None else 0
    if task.stage == "finetune" and task.plugin == "stable-diffusion":
        return _finetune(task, plan, images)
    if task.stage == "pixels":
        validation = plan.manifest.count("val") if plan.dataset is not None else 0
        return Least(validation * 3 * task.facts["size_px"] ** 2)
    if task.stage == "represent":
        return Least(images * (task.settings.width or WIDTH) * FEATURES * SINGLE)
    if task.stage == "encode":
        return Least(images * _encoded(task, plan))
    if task.stage == "embed":
        return Least(images * _embedded(task, plan))
    if task.stage == "prototype" and "images" in task.inputs:
        return Least(_made(task, plan) * SINGLE * _latent(task.inputs["images"], plan))
    if task.stage == "synthesise" and isinstance(task.settings, SynthesisSettings):
        side_px = task.settings.size_px or plan.recipe.image_px
        return Least(_made(task, plan) * 3 * side_px**2 // DEFLATE)
    if task.stage in ("optimise", "sample"):
        return Least(_made(task, plan) * 3 * task.facts["size_px"] ** 2 // DEFLATE)
    return Least()


def _made(task: Task, plan: Plan) -> int:
    return len(plan.manifest.classes) * plan.recipe.ipc


def _embedded(task: Task, plan: Plan) -> int:
    """Return the bytes of a row of features."""
    number = HALF if task.published else SINGLE
    moments = MOMENTS * number * _latent(task, plan) if task.plugin == "images" else 0
    return _width(task, plan) * SINGLE + moments


def _encoded(task: Task, plan: Plan) -> int:
    """Return the bytes of the latents of an image and its mirror image; 0 if the autoencoder is unknown."""
    cell_px, sides = _cell_px(task, "autoencoder", plan), 2 if task.facts["mirrored"] else 1
    return (
        sides * MOMENTS * HALF * LATENT_CHANNELS * (task.facts["size_px"] // cell_px) ** 2 if cell_px else 0
    )


def _latent(task: Task, plan: Plan) -> int:
    """Return the size of an image's latent; 0 if the autoencoder is unknown."""
    cell_px = _cell_px(task, "autoencoder", plan)
    return LATENT_CHANNELS * (plan.recipe.image_px // cell_px) ** 2 if cell_px else 0


def _cell_px(task: Task, name: str, plan: Plan) -> int:
    """Return the downsampling factor of the autoencoder; 0 if unknown."""
    if not task.published:
        return int(2 ** (len(plan.recipe.autoencoder.channels) - 1))
    if plan.complete:
        return model_checks.cell_px(Path(task.origins[name]))
    return CELL_PX if _usual(plan, "diffusion") else 0


def _usual(plan: Plan, part: str) -> bool:
    """Return whether a model is the default one, whose size is known."""
    return bool(getattr(plan.recipe.models, part) == getattr(ModelSettings(), part))


def _width(task: Task, plan: Plan) -> int:
    """Return the width of a feature; 0 if unknown."""
    if not task.published:
        return plan.recipe.embedder.text_width
    if plan.recipe.models.clip == "openai" or (_usual(plan, "clip") and not plan.complete):
        return CLIP_WIDTH
    return model_checks.clip_width(Path(task.origins["embedder"])) if plan.complete else 0


def _finetune(task: Task, plan: Plan, images: int) -> Least:
    own, weights = task.settings, PUBLISHED["parameters"]
    if plan.complete:
        folder = Path(task.origins["diffusion"])
        unet, copied = model_checks.unet_parameters(folder), _copied(folder)
    elif _usual(plan, "diffusion"):
        unet, copied = weights["unet"], SINGLE * (weights["vae"] + weights["text"])
    else:
        return Least()
    updates = own.epochs * math.ceil(math.ceil(images / own.batch) / own.accumulation)
    # The previous one is kept while the next is written, whatever the limit.
    checkpoints = min(updates // own.checkpointing_steps, max(2, own.checkpoints_total_limit))
    # Weights, two moments and the average.
    checkpoint = SINGLE * unet * (4 if own.use_ema else 3)
    return Least(kept=SINGLE * unet + copied, temporary=checkpoints * checkpoint)


def _copied(folder: Path) -> int:
    """Return the bytes of the files that a fine-tuned pipeline copies from its base."""
    read = contents(LAYOUTS["diffusion"], folder).read
    return sum((folder / name).stat().st_size for name in read if not name.startswith("unet/"))


def of_store(plan: Plan, todo: Sequence[Task], root: Path) -> Wanted:
    """Return the minimum peak disk usage of ``todo`` in the store at ``root``."""
    sizes = [(task, least(task, plan)) for task in todo]
    kept: dict[str, int] = {}
    for task, size in sizes:
        kept[task.kind] = kept.get(task.kind, 0) + size.kept
    total = sum(kept.values())
    largest = max((size.kept + size.temporary for _, size in sizes), default=0)
    kinds = sorted(filter(kept.get, kept), key=lambda kind: -kept[kind])
    unfinished = tuple(root / name for name in UNFINISHED)
    return Wanted(f"the store's {first_few(kinds)}", root, max(total, largest), unfinished)
