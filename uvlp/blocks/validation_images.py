"""Shorter side to a given one, centre crop, with PIL on 8-bit pixels (evaluation.md 1.4 and 3.3)."""

from __future__ import annotations

import numpy
from PIL import Image


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
