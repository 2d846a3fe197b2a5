"""Training augmentation of the RDED protocol for whole batches (evaluation.md 3.3).

Patch shuffle, random resized crop, flip, normalisation. With ``factor`` 1 nothing is shuffled and the
crop is the whole (square) image, so that only the flip is left (quirk Q27).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from uvlp.blocks.augment import MEAN, STD
from uvlp.blocks.patch_shuffle import shuffle, side_after
from uvlp.blocks.random_crop import antialiased, draw_boxes, separable
from uvlp.blocks.sized_images import SizedImages
from uvlp.blocks.transfer import send


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The random numbers of N images.

    Attributes:
        columns, rows: int64 [N,factor], strips in their new order.
        box: int64 [N,4], top, left, height and width of the crop in the shuffled image, px.
        flip: bool [N].
    """

    columns: numpy.ndarray
    rows: numpy.ndarray
    box: numpy.ndarray
    flip: numpy.ndarray

    def select(self, which: slice | numpy.ndarray) -> Draws:
        """The rows of some images."""
        return Draws(
            columns=self.columns[which], rows=self.rows[which], box=self.box[which], flip=self.flip[which]
        )


def draw(
    generator: numpy.random.Generator,
    height_px: numpy.ndarray,
    width_px: numpy.ndarray,
    *,
    factor: int,
    flip: float,
) -> Draws:
    """Independent draws for images with sides int64 [N]; ``flip`` is a probability."""
    count = len(height_px)
    ordered = numpy.tile(numpy.arange(factor), (count, 1))
    columns, rows = (generator.permuted(ordered, axis=1) for _ in range(2))
    after = numpy.vectorize(side_after, otypes=[numpy.int64])
    box = draw_boxes(generator, after(height_px, factor), after(width_px, factor), 1 / factor)
    return Draws(columns=columns, rows=rows, box=box, flip=generator.random(count) < flip)


def augment(images: SizedImages, indices: numpy.ndarray, draws: Draws, size_px: int, factor: int) -> Tensor:
    """Augmented, normalised images float32 [n,3,size_px,size_px] in the order of ``indices``.

    ``draws`` has one row for each of the n indices.
    """
    parts = [
        (which, transform(pixels, draws.select(which), size_px, factor))
        for which, pixels in images.by_shape(indices)
    ]
    if len(parts) == 1:
        return parts[0][1]
    order = numpy.argsort(numpy.concatenate([which for which, _ in parts]))
    stacked = torch.cat([part for _, part in parts])
    return stacked[send(order, stacked.device)]


def transform(pixels: Tensor, draws: Draws, size_px: int, factor: int) -> Tensor:
    """Images of one shape, uint8 [n,3,H,W], to float32 [n,3,size_px,size_px]."""
    device = pixels.device.type
    shuffled = shuffle(pixels, draws.columns, draws.rows, factor)
    top, left, height, width = draws.box.T
    rows = antialiased(top, height, size_px, shuffled.shape[2], device)
    columns = antialiased(left, width, size_px, shuffled.shape[3], device)
    columns = torch.where(send(draws.flip, device)[:, None, None], columns.flip(1), columns)
    mean, std = (send(numpy.asarray(values), device, torch.float32)[:, None, None] for values in (MEAN, STD))
    cropped = separable(shuffled / 255, rows.float(), columns.float())
    return (cropped - mean) / std
