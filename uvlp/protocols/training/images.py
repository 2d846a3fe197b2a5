"""Labelled images in memory, as a protocol takes them.

Validation images are made with PIL on 8-bit pixels: shorter side to a given one, centre crop
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

CHUNK = 64  # images that are in memory at a time while many are read
Rule = Callable[[numpy.ndarray, int], numpy.ndarray]
"""From uint8 [H,W,3] and a side to uint8 [side,side,3]."""


class LazyPixels(Sequence[numpy.ndarray]):
    """Images that are read when they are asked for, some at a time.

    Args:
        read: from positions to their images, uint8 [H,W,3] each.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """N images with labels, to be trained on.

    Attributes:
        pixels: uint8 [N,H,W,3], or one [H,W,3] per image where sizes differ; RGB. A sequence that reads
            its images when they are asked for keeps memory small.
        labels: int64 [N].
    """

    pixels: Sequence[numpy.ndarray] | numpy.ndarray
    labels: numpy.ndarray

    def __post_init__(self) -> None:
        assert len(self.pixels) == len(self.labels) > 0, "one label per image, at least one image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """N images with labels, brought to the network's input size: what a network is validated on.

    Attributes:
        pixels: uint8 tensor [N,3,S,S].
        labels: int64 [N].
        name: dataset and variant, for people.
    """

    pixels: Tensor
    labels: numpy.ndarray
    name: str = ""

    def __post_init__(self) -> None:
        assert len(self.pixels) == len(self.labels) > 0, "one label per image, at least one image"


def stored(folder: Path) -> Prepared:
    """The images of a `pixels` artifact, mapped into memory."""
    images, labels, name = pixels.read(folder)
    return Prepared(pixels=torch.from_numpy(images), labels=labels, name=name)


def prepare(images: Sequence[numpy.ndarray] | numpy.ndarray, size_px: int, rule: Rule) -> Tensor:
    """uint8 [N,3,size_px,size_px]: ``rule`` applied to every image, one at a time."""
    prepared = numpy.empty((len(images), 3, size_px, size_px), dtype=numpy.uint8)
    for row, image in enumerate(images):
        prepared[row] = rule(image, size_px).transpose(2, 0, 1)
    return torch.from_numpy(prepared)


def resized_size(width_px: int, height_px: int, size_px: int) -> tuple[int, int]:
    """Width and height after the shorter side became ``size_px``; the longer one is truncated."""
    if width_px <= height_px:
        return size_px, size_px * height_px // width_px
    return size_px * width_px // height_px, size_px


def crop_origin(side_px: int, size_px: int) -> int:
    """First pixel of the centre crop; halves go to the even neighbour."""
    return round((side_px - size_px) / 2)


def resize_and_crop(pixels: numpy.ndarray, size_px: int, shorter_px: int = 0) -> numpy.ndarray:
    """uint8 [H,W,3] to uint8 [size_px,size_px,3]; bilinear with antialiasing.

    ``shorter_px``: the shorter side before the crop, 0 for no border (the Minimax protocol).
    """
    height_px, width_px = pixels.shape[:2]
    target = resized_size(width_px, height_px, shorter_px or size_px)
    if target != (width_px, height_px):
        resized = Image.fromarray(pixels).resize(target, Image.Resampling.BILINEAR)
        pixels = numpy.asarray(resized)
    left, top = (crop_origin(side_px, size_px) for side_px in target)
    return pixels[top : top + size_px, left : left + size_px]
