"""Labelled images in memory, the input of a protocol.

Validation images are prepared by PIL on 8-bit pixels: resize of the shorter side, then centre crop
(evaluation.md 1.4 and 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image
from torch import Tensor

from uvlp.artifacts import pixels

CHUNK = 64  # images in memory at a time while iterating
Rule = Callable[[numpy.ndarray, int], numpy.ndarray]
"""From [H,W,3] and a side to [side,side,3], of the same dtype."""


class LazyPixels(Sequence[numpy.ndarray]):
    """A sequence of images that are read on access; iteration reads them in chunks.

    Args:
        read: returns the images at given positions, uint8 [H,W,3] each.
        count: number of images.
    """

    def __init__(self, read: Callable[[Sequence[int]], Sequence[numpy.ndarray]], count: int) -> None:
        self._read, self._count = read, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        positions = range(self._count)[index]
        return self._read(positions) if isinstance(positions, range) else self._read([positions])[0]

    def __iter__(self) -> Iterator[numpy.ndarray]:
        for start in range(0, self._count, CHUNK):
            yield from self[start : start + CHUNK]


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """Probabilities float32 [N,C], and the temperature T of the softmax that learns them."""

    values: numpy.ndarray
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """N training images with labels.

    Attributes:
        pixels: uint8 [N,H,W,3], or one [H,W,3] per image where sizes differ; RGB. `LazyPixels` keeps memory
            small.
        labels: int64 [N].
        floats: ``pixels`` are float32 instead, black 0 and white 1 with values beyond.
        soft: labels that are learnt in place of ``labels``; None: those.
    """

    pixels: Sequence[numpy.ndarray] | numpy.ndarray
    labels: numpy.ndarray
    floats: bool = False
    soft: SoftLabels | None = None

    def __post_init__(self) -> None:
        assert len(self.pixels) == len(self.labels) > 0, "one label per image, at least one image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """N images with labels at the network's input size, e.g. the validation images.

    Attributes:
        pixels: uint8 tensor [N,3,S,S].
        labels: int64 [N].
        name: dataset and variant, for reports.
    """

    pixels: Tensor
    labels: numpy.ndarray
    name: str = ""

    def __post_init__(self) -> None:
        assert len(self.pixels) == len(self.labels) > 0, "one label per image, at least one image"


def stored(folder: Path) -> Prepared:
    """Return the images of a `pixels` artifact, memory-mapped."""
    images, labels, name = pixels.read(folder)
    return Prepared(pixels=torch.from_numpy(images), labels=labels, name=name)


def prepare(
    images: Sequence[numpy.ndarray] | numpy.ndarray, size_px: int, rule: Rule, *, floats: bool = False
) -> Tensor:
    """Apply ``rule`` to one image after another: uint8, or float32, [N,3,size_px,size_px]."""
    dtype = numpy.float32 if floats else numpy.uint8
    prepared = numpy.empty((len(images), 3, size_px, size_px), dtype=dtype)
    for row, image in enumerate(images):
        prepared[row] = rule(image, size_px).transpose(2, 0, 1)
    return torch.from_numpy(prepared)


def unit(pixels: Tensor) -> Tensor:
    """Return uint8 pixels in [0,1]; float pixels are returned as they are."""
    return pixels if pixels.is_floating_point() else pixels / 255


def resized_size(width_px: int, height_px: int, size_px: int) -> tuple[int, int]:
    """Return width and height with a shorter side of ``size_px``; the longer side is rounded down."""
    if width_px <= height_px:
        return size_px, size_px * height_px // width_px
    return size_px * width_px // height_px, size_px


def crop_origin(side_px: int, size_px: int) -> int:
    """Return the first pixel of the centre crop; halves are rounded to even."""
    return round((side_px - size_px) / 2)


def resize_and_crop(pixels: numpy.ndarray, size_px: int, shorter_px: int = 0) -> numpy.ndarray:
    """Resize and centre crop [H,W,3] to [size_px,size_px,3]; bilinear with antialiasing.

    uint8 is rounded to uint8, as in the published code; float32 is neither rounded nor clamped.
    ``shorter_px`` is the shorter side before the crop; 0 for ``size_px`` (the Minimax protocol).
    """
    height_px, width_px = pixels.shape[:2]
    target = resized_size(width_px, height_px, shorter_px or size_px)
    if target != (width_px, height_px):
        pixels = _resized(pixels, target)
    left, top = (crop_origin(side_px, size_px) for side_px in target)
    return pixels[top : top + size_px, left : left + size_px]


def _resized(pixels: numpy.ndarray, target: tuple[int, int]) -> numpy.ndarray:
    """Return an image resized to (width, height); PIL has no float images of several channels."""
    if pixels.dtype == numpy.uint8:
        return numpy.asarray(Image.fromarray(pixels).resize(target, Image.Resampling.BILINEAR))
    channels = (numpy.ascontiguousarray(pixels[:, :, channel]) for channel in range(pixels.shape[2]))
    resized = [
        numpy.asarray(Image.fromarray(each).resize(target, Image.Resampling.BILINEAR)) for each in channels
    ]
    return numpy.stack(resized, axis=2)
