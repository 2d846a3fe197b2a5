"""The least that artifacts take of the disk, so that only a disk is called too small that certainly is.

Arrays and weights are as large as their numbers. A PNG is at least a 1032nd of its pixels: no further does
deflate go. Texts are not counted, nor the weights of small networks.
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
from uvlp.pipeline.disk import Wanted
from uvlp.pipeline.estimates.assumptions import PUBLISHED
from uvlp.pipeline.estimates.cost import HALF, SINGLE
from uvlp.pipeline.estimates.distilling import CLIP_WIDTH, LATENT_CHANNELS
from uvlp.pipeline.prepare import Plan
from uvlp.recipes.limits import CELL_PX
from uvlp.recipes.schema import ModelSettings, SynthesisSettings

DEFLATE = 1032
"""Bytes that deflate makes one of at most (zlib's technical details)."""
MOMENTS = 2
WIDTH, FEATURES = 64, 8
"""Of `represent`'s network: channels of its first stage by default, and features for each of them."""


UNFINISHED = ("partial", ".tmp")
"""Folders of a store with parts of what is still to be made, which take no more room."""


class Least(NamedTuple):
    """Bytes of an artifact: those that stay, and further ones until it is complete."""

    kept: int = 0
    passing: int = 0


def least(task: Task, plan: Plan) -> Least:
    """What ``task`` takes at least; nothing of a dataset that is not here, for its counts are not certain."""
    images = plan.manifest.count("train") if plan.dataset is not None else 0
    if task.stage == "finetune" and task.plugin == "stable-diffusion":
        return _finetune(task, plan, images)
    if task.stage == "pixels":
        validation = plan.manifest.count("val") if plan.dataset is not None else 0
        return Least(validation * 3 * task.facts["size_px"] ** 2)
    if task.stage == "represent":
        return Least(images * (task.settings.width or WIDTH) * FEATURES * SINGLE)
    if task.stage == "embed":
        return Least(images * _embedded(task, plan))
    if task.stage == "prototype" and "images" in task.inputs:
        return Least(_made(task, plan) * SINGLE * _latent(task.inputs["images"], plan))
    if task.stage == "synthesise" and isinstance(task.settings, SynthesisSettings):
        side_px = task.settings.size_px or plan.recipe.image_px
        return Least(_made(task, plan) * 3 * side_px**2 // DEFLATE)
    return Least()


def _made(task: Task, plan: Plan) -> int:
    return len(plan.manifest.classes) * plan.recipe.ipc


def _embedded(task: Task, plan: Plan) -> int:
    """Bytes of a row."""
    number = HALF if task.published else SINGLE
    moments = MOMENTS * number * _latent(task, plan) if task.plugin == "images" else 0
    return _width(task, plan) * SINGLE + moments


def _latent(task: Task, plan: Plan) -> int:
    """Numbers of an image's latent; 0 where the autoencoder is not known."""
    cell_px = _cell_px(task, "autoencoder", plan)
    return LATENT_CHANNELS * (plan.recipe.image_px // cell_px) ** 2 if cell_px else 0


def _cell_px(task: Task, name: str, plan: Plan) -> int:
    """Pixels along a side that become one of a latent; 0 where they are not known."""
    if not task.published:
        return int(2 ** (len(plan.recipe.autoencoder.channels) - 1))
    if plan.complete:
        return model_checks.cell_px(Path(task.origins[name]))
    return CELL_PX if _usual(plan, "diffusion") else 0


def _usual(plan: Plan, part: str) -> bool:
    """Whether a model is the one whose size is known by its name."""
    return bool(getattr(plan.recipe.models, part) == getattr(ModelSettings(), part))


def _width(task: Task, plan: Plan) -> int:
    """Numbers of a feature; 0 where they are not known."""
    if not task.published:
        return plan.recipe.embedder.text_width
    if plan.recipe.models.clip == "openai" or (_usual(plan, "clip") and not plan.complete):
        return CLIP_WIDTH
    return model_checks.clip_width(Path(task.origins["embedder"])) if plan.complete else 0


def _finetune(task: Task, plan: Plan, images: int) -> Least:
    own, weights = task.settings, PUBLISHED["parameters"]
    if plan.complete:
        folder = Path(task.origins["diffusion"])
        unet, copied = model_checks.unet_numbers(folder), _copied(folder)
    elif _usual(plan, "diffusion"):
        unet, copied = weights["unet"], SINGLE * (weights["vae"] + weights["text"])
    else:
        return Least()
    side = own.resolution_px // _cell_px(task, "diffusion", plan)
    mirrored = 2 if own.random_flip else 1
    latents = mirrored * MOMENTS * HALF * LATENT_CHANNELS * side**2 * images if own.cache_latents else 0
    updates = own.epochs * math.ceil(math.ceil(images / own.batch) / own.accumulation)
    # One stays while the next is written, whatever the limit.
    checkpoints = min(updates // own.checkpointing_steps, max(2, own.checkpoints_total_limit))
    # Weights, two moments and the average.
    checkpoint = SINGLE * unet * (4 if own.use_ema else 3)
    return Least(kept=SINGLE * unet + copied, passing=latents + checkpoints * checkpoint)


def _copied(folder: Path) -> int:
    """Bytes of the files that a fine-tuned pipeline has of its base."""
    read = contents(LAYOUTS["diffusion"], folder).read
    return sum((folder / name).stat().st_size for name in read if not name.startswith("unet/"))


def of_store(plan: Plan, todo: Sequence[Task], root: Path) -> Wanted:
    """What ``todo`` takes of the disk of the store at ``root`` at least, at the fullest moment."""
    found = [(task, least(task, plan)) for task in todo]
    kept: dict[str, int] = {}
    for task, size in found:
        kept[task.kind] = kept.get(task.kind, 0) + size.kept
    together = sum(kept.values())
    fullest = max((size.kept + size.passing for _, size in found), default=0)
    kinds = sorted(filter(kept.get, kept), key=lambda kind: -kept[kind])
    unfinished = tuple(root / name for name in UNFINISHED)
    return Wanted(f"the store's {first_few(kinds)}", root, max(together, fullest), unfinished)
