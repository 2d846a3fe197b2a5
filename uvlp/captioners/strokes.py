"""Captions for white strokes on black (handwritten digits): weight, slant, loops, shape, ink, balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from uvlp.captioners.texts.clauses import join_clauses, third_words
from uvlp.core.progress import Progress

REVISION = 2

STROKE_LEVEL = (
    0.4  # fraction of the brightest pixel; at 0.5, strokes break and 43 % of the zeros lose their loop
)
SMALLEST_LOOP_PX = 3
LOOP_WORDS = ("no loop", "one loop", "two loops")


@dataclass(frozen=True, slots=True)
class Stroke:
    """Measurements of one image.

    Attributes:
        weight_px: mean distance of a stroke pixel to the background.
        slant: -mu11/mu02 of the grey values; positive: leaning right.
        aspect: width over height of the strokes' bounding box.
        ink: mean grey value, 0-1.
        height: centroid of the ink above the centre of the box, in box heights.
        loops: background regions enclosed by strokes.
    """

    weight_px: float
    slant: float
    aspect: float
    ink: float
    height: float
    loops: int


def plain(class_name: str) -> str:
    """The label-only prompt, e.g. ``a handwritten digit seven``."""
    return f"a handwritten digit {class_name}"


def captions(
    images: NDArray[np.uint8], class_names: Sequence[str], progress: Progress | None = None
) -> list[str]:
    """One caption per image [N, H, W, 3], e.g. ``a handwritten digit seven, thin strokes, upright, ...``."""
    assert len(images) == len(class_names)
    grey = images.mean(axis=3) / 255
    tracked = (progress or Progress()).track(grey, total=len(grey))
    measured = np.array([astuple(measure(image)) for image in tracked], dtype=np.float64)
    weight, slant, aspect, ink, height, loops = measured.T
    return join_clauses(
        [plain(name) for name in class_names],
        third_words(weight, ("thin strokes", "medium strokes", "thick strokes")),
        third_words(slant, ("leaning left", "upright", "leaning right")),
        [LOOP_WORDS[min(int(count), 2)] for count in loops],
        third_words(aspect, ("narrow", "medium wide", "wide")),
        third_words(ink, ("light ink", "medium ink", "dark ink")),
        third_words(height, ("bottom heavy", "balanced", "top heavy")),
    )


def measure(grey: NDArray[np.float64]) -> Stroke:
    """Measure a grey image [H, W] in 0-1; all values are 0 for an image without strokes."""
    from scipy import ndimage

    strokes = grey > grey.max() * STROKE_LEVEL
    if not strokes.any():
        return Stroke(0.0, 0.0, 0.0, 0.0, 0.0, 0)
    rows, columns = np.nonzero(strokes)
    box_height, box_width = np.ptp(rows) + 1, np.ptp(columns) + 1
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    centre_y, centre_x = np.average(y, weights=grey), np.average(x, weights=grey)
    mu11 = np.average((y - centre_y) * (x - centre_x), weights=grey)
    mu02 = np.average((y - centre_y) ** 2, weights=grey)
    return Stroke(
        weight_px=float(ndimage.distance_transform_edt(strokes)[strokes].mean()),
        slant=float(-mu11 / max(mu02, 1e-8)),
        aspect=float(box_width / box_height),
        ink=float(grey.mean()),
        height=float(((rows.min() + rows.max()) / 2 - centre_y) / box_height),
        loops=count_loops(strokes),
    )


def count_loops(strokes: NDArray[np.bool_]) -> int:
    """Count background regions of at least three pixels enclosed by strokes (4-connected background)."""
    from scipy import ndimage

    regions, _ = ndimage.label(np.pad(~strokes, 1, constant_values=True))
    areas = np.bincount(regions.ravel())
    enclosed = np.delete(areas, [0, regions[0, 0]])  # neither the strokes nor the outside
    return int((enclosed >= SMALLEST_LOOP_PX).sum())
