"""What each task needs of the machine: cards, cores, memory and time, from the estimates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from uvlp.artifacts.features import LATENTS
from uvlp.artifacts.task import Task
from uvlp.core.scheduling.cards import Parallel
from uvlp.core.scheduling.rule import ANYWHERE, Needs
from uvlp.declarations.captioner import declared_captioner
from uvlp.pipeline.estimates import cost as measured
from uvlp.pipeline.estimates.cards import Machine
from uvlp.pipeline.estimates.cost import Cost, RunContext
from uvlp.pipeline.estimates.stages import STAGES
from uvlp.pipeline.prepare import Plan

WITH_MODELS = ("embed", "encode", "finetune", "optimise", "sample", "teacher")
"""Stages whose batches assume a card to themselves; some tasks of `caption` and `synthesise` do so too."""
TRAINING = ("evaluate", "represent")
"""Stages that train small networks, of which several share a card."""
DECODING = ("caption", "embed", "encode", "finetune")
"""Stages that read images on several cores; a fine-tuning from latents does not."""

FREE = Cost(items=0, unit="", seconds=0.0)
"""The cost of collecting images and printing a table."""

NOTHING: Mapping[str, Needs] = {}


def on_cards(task: Task, per_finetune: int = 1) -> Needs:
    """Return whether a task needs cards, and how many, on a machine that has some."""
    if task.stage in TRAINING:
        return Needs(cards=1, shared=True)
    if task.stage == "finetune" and task.plugin == "stable-diffusion":
        return Needs(cards=per_finetune)
    if task.stage in WITH_MODELS or _captions_with_a_model(task) or _draws_images(task):
        return Needs(cards=1)
    return ANYWHERE


def _captions_with_a_model(task: Task) -> bool:
    return task.stage == "caption" and task.plugin != "file" and bool(declared_captioner(task.plugin).model)


def _draws_images(task: Task) -> bool:
    """Return whether images are synthesised; other methods select real ones."""
    return task.stage == "synthesise" and "prototypes" in task.inputs


def of_plan(plan: Plan, on: Machine) -> Mapping[str, Needs]:
    """Return cores, memory and time of every task of a plan on one card, by key; nothing if unknown."""
    if plan.size is None or not on.known:
        return {}
    context = RunContext(plan.recipe, plan.size, on)
    found = {}
    for task in plan.tasks:
        cost = STAGES[task.stage](task, context) if task.stage in STAGES else FREE
        seconds = measured.seconds(task, cost, on).seconds
        found[task.key] = Needs(
            cores=1 + _decoding(task, cost, context),
            host_bytes=cost.host_bytes,
            gpu_bytes=cost.gpu_bytes,
            minutes=None if seconds is None else seconds / 60,
        )
    return found


def _decoding(task: Task, cost: Cost, context: RunContext) -> int:
    """Return how many cores read and decode images for one card."""
    if task.stage not in DECODING or LATENTS in task.inputs or not cost.gpu_bytes or not cost.seconds:
        return 0
    return math.ceil(cost.items * context.decode_s * context.machine.cores / cost.seconds)


def on_machine(parallel: Parallel, estimates: Mapping[str, Needs] = NOTHING) -> Callable[[Task], Needs]:
    """Return a function to the needs of a task on the cards of a machine; without cards, none needs anything.

    Args:
        parallel: the cards.
        estimates: cores, memory and time on one card, by key; see `of_plan`.
    """
    if not parallel.cards:
        return lambda task: estimates.get(task.key, ANYWHERE)

    def needs(task: Task) -> Needs:
        wanted, known = on_cards(task, parallel.per_finetune), estimates.get(task.key, ANYWHERE)
        return replace(
            known,
            cards=wanted.cards,
            shared=wanted.shared,
            cores=known.cores * max(1, wanted.cards),
            minutes=None if known.minutes is None else known.minutes * _share(task, wanted.cards),
        )

    return needs


def _share(task: Task, cards: int) -> float:
    """Return which share of the time on one card a task takes on several.

    They share the images of every update, wait for the card with most of them, and the others idle meanwhile.
    """
    if cards < 2:
        return 1.0
    images = task.settings.batch * task.settings.accumulation
    return math.ceil(images / cards) / images
