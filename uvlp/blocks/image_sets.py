"""Labelled images in memory, as an evaluator takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy
import torch
from torch import Tensor

from uvlp.blocks.validation_images import resize_and_crop


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """N images with labels.

    Attributes:
        pixels: uint8 [N,H,W,3], or one [H,W,3] per image where sizes differ; RGB.
        labels: int64 [N].
    """

    pixels: Sequence[numpy.ndarray] | numpy.ndarray
    labels: numpy.ndarray
    _prepared: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert len(self.pixels) == len(self.labels) > 0, "one label per image, at least one image"

    def prepared(self, size_px: int) -> Tensor:
        """`prepare` of the pixels, computed once per size."""
        if size_px not in self._prepared:
            self._prepared[size_px] = prepare(self.pixels, size_px)
        return self._prepared[size_px]


def prepare(pixels: Sequence[numpy.ndarray] | numpy.ndarray, size_px: int) -> Tensor:
    """uint8 [N,3,size_px,size_px]: shorter side resized and centre cropped (evaluation.md 1.4)."""
    prepared = numpy.empty((len(pixels), 3, size_px, size_px), dtype=numpy.uint8)
    for row, image in enumerate(pixels):
        prepared[row] = resize_and_crop(image, size_px).transpose(2, 0, 1)
    return torch.from_numpy(prepared)
