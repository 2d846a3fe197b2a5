"""Patch shuffling of RDED: columns of patches change places, then rows (evaluation.md 3.3)."""

from __future__ import annotations

import numpy
import torch
from torch import Tensor

from uvlp.blocks.transfer import send


def strips(side_px: int, factor: int) -> list[range]:
    """The pixels of each of ``factor`` strips of a side.

    As the reference has it, the strip that begins at pixel ``factor`` - 1 takes all that follows and
    the remainder of a division is lost otherwise; they all are equal where ``factor`` divides a side
    that is larger than its square.
    """
    length_px = side_px // factor
    assert length_px > 0, "an image is at least one pixel per strip wide"
    starts = range(0, factor * length_px, length_px)
    return [range(start, side_px if start == factor - 1 else start + length_px) for start in starts]


def side_after(side_px: int, factor: int) -> int:
    """Side of the image once shuffled."""
    return sum(map(len, strips(side_px, factor)))


def positions(side_px: int, factor: int, permutations: numpy.ndarray) -> numpy.ndarray:
    """int64 [N,side_after]: source pixel of every pixel of N shuffled sides.

    ``permutations``, int64 [N,factor], name the strips in their new order.
    """
    parts = [numpy.asarray(strip) for strip in strips(side_px, factor)]
    return numpy.stack([numpy.concatenate([parts[strip] for strip in order]) for order in permutations])


def shuffle(images: Tensor, columns: numpy.ndarray, rows: numpy.ndarray, factor: int) -> Tensor:
    """Images [N,C,H,W] with strips of their width and height reordered.

    Args:
        images: any type; they stay as they are.
        columns, rows: int64 [N,factor], the strips in their new order.
        factor: strips per side; 1 changes nothing.
    """
    if factor == 1:
        return images
    height_px, width_px = images.shape[2:]
    new_rows, new_columns = (
        send(positions(side_px, factor, order), images.device)
        for side_px, order in ((height_px, rows), (width_px, columns))
    )
    image = torch.arange(len(images), device=images.device)[:, None, None]
    return images[image, :, new_rows[:, :, None], new_columns[:, None]].permute(0, 3, 1, 2)
