"""The time of a fine-tuning on several cards: images per card, and the exchange of gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from benchmarks.cluster.events import Conditions
from uvlp.pipeline.estimates.assumptions import PUBLISHED
from uvlp.pipeline.estimates.cost import SINGLE

HALF_BATCH = 2.0
"""Images per card at which a step is half as fast per image as with large batches (assumed)."""
BACKWARD = {True: 3 / 4, False: 2 / 3}
"""Share of the backward pass in a step, with activations that are computed again, or stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """Seconds of a fine-tuning on several cards: in all, and those in which they wait for gradients."""

    seconds: float
    exchange_s: float


def on_cards(settings: Any, images: int, alone_s: float, cards: int, conditions: Conditions) -> Time:
    """Return the time on ``cards`` cards, which share the images of every update.

    A pass over b images takes as long as b + `HALF_BATCH` of a large batch; one card makes the batches of the
    settings one after the other.

    Args:
        settings: of the fine-tuning.
        images: of the training set.
        alone_s: time on one card.
        cards: at least one.
        conditions: of the exchange.
    """
    if cards == 1:
        return Time(seconds=alone_s, exchange_s=0.0)
    whole = settings.batch * settings.accumulation
    largest = math.ceil(whole / cards)  # the other cards wait for the one with most images
    passes = math.ceil(largest / settings.batch)
    unit_s = alone_s / (whole + settings.accumulation * HALF_BATCH)
    computing = unit_s * (largest + passes * HALF_BATCH)
    updates = settings.epochs * math.ceil(images / whole)
    exchange = updates * 2 * SINGLE * PUBLISHED["parameters"]["unet"] / conditions.bandwidth
    if conditions.hidden:
        # Gradients are exchanged in the last pass of an update, as its backward pass computes them.
        last = largest - (passes - 1) * settings.batch
        exchange -= BACKWARD[settings.gradient_checkpointing] * unit_s * (last + HALF_BATCH)
    exchange = max(0.0, exchange)
    return Time(seconds=computing + exchange, exchange_s=exchange)
