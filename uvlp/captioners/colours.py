"""Captions for colour photographs: brightness, contrast, main hue, saturation, detail, bright side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uvlp.captioners.texts.clauses import join_clauses, third_words
from uvlp.core.progress import Progress

REVISION = 1

Values = NDArray[np.float64]

HUES = (
    "red",
    "yellow",
    "green",
    "cyan",
    "blue",
    "pink",
)  # sixths of the colour circle, centred at 0, 60, ... degrees
GREY_CHROMA = 0.08
BATCH = 256
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def plain(class_name: str) -> str:
    """The label-only prompt, e.g. ``a photo of a cat``."""
    return f"a photo of a {class_name}"


def captions(
    images: NDArray[np.uint8], class_names: Sequence[str], progress: Progress | None = None
) -> list[str]:
    """One caption per image [N, H, W, 3], e.g. ``a photo of a cat, dark, low contrast, mostly red, ...``."""
    assert len(images) == len(class_names)
    starts = (progress or Progress()).track(range(0, len(images), BATCH))
    parts = [measure(images[start : start + BATCH] / 255.0) for start in starts]
    light, contrast, hue, saturation, detail, right, low = np.concatenate(parts, axis=1)
    return join_clauses(
        [plain(name) for name in class_names],
        third_words(light, ("dark", "medium light", "bright")),
        third_words(contrast, ("low contrast", "medium contrast", "high contrast")),
        ["mostly grey" if index < 0 else f"mostly {HUES[int(index)]}" for index in hue],
        third_words(saturation, ("muted colours", "natural colours", "vivid colours")),
        third_words(detail, ("smooth", "some detail", "much detail")),
        bright_side(right, low),
    )


def measure(images: Values) -> Values:
    """Measure images [N, H, W, 3] in 0-1; returns seven rows of N values.

    Mean luma, its standard deviation, index of the main hue (-1: grey), mean chroma, mean luma
    gradient, and the horizontal and vertical offset of the luma's centroid from the image centre, in image
    sides (positive: right, down).
    """
    luma = images @ LUMA
    chroma = images.max(axis=3) - images.min(axis=3)
    gradient = np.abs(np.diff(luma, axis=1)).mean(axis=(1, 2)) + np.abs(np.diff(luma, axis=2)).mean(
        axis=(1, 2)
    )
    mass = np.maximum(luma.sum(axis=(1, 2)), 1e-8)
    across = np.linspace(-0.5, 0.5, luma.shape[2])
    down = np.linspace(-0.5, 0.5, luma.shape[1])
    return np.stack(
        [
            luma.mean(axis=(1, 2)),
            luma.std(axis=(1, 2)),
            main_hue(images, chroma),
            chroma.mean(axis=(1, 2)),
            gradient,
            (luma.sum(axis=1) * across).sum(axis=1) / mass,
            (luma.sum(axis=2) * down).sum(axis=1) / mass,
        ]
    )


def main_hue(images: Values, chroma: Values) -> Values:
    """Index into HUES of the sixth with the largest total chroma; -1 for nearly grey images."""
    red, green, blue = np.moveaxis(images, 3, 0)
    angle = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)
    sixth = np.round(angle / (np.pi / 3)).astype(int) % 6
    weight = np.stack([(chroma * (sixth == index)).sum(axis=(1, 2)) for index in range(6)])
    return np.where(chroma.mean(axis=(1, 2)) < GREY_CHROMA, -1, weight.argmax(axis=0))


def bright_side(right: Values, low: Values) -> list[str]:
    """The brighter side of each image; the third with the smallest offsets is called evenly lit."""
    offset = np.maximum(np.abs(right), np.abs(low))
    sides = [
        (
            f"bright {'right' if x > 0 else 'left'} side"
            if abs(x) > abs(y)
            else f"bright {'bottom' if y > 0 else 'top'}"
        )
        for x, y in zip(right, low, strict=True)
    ]
    return [
        "evenly lit" if word == "even" else side
        for side, word in zip(sides, third_words(offset, ("even", "side", "side")), strict=True)
    ]
