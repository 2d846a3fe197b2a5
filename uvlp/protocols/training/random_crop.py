"""Random resized crop for whole batches: draw the boxes, and the matrices that crop and resize.

Cropping and resizing are linear and separable: two small matrices per image, one for rows and one for
columns. Random numbers are drawn separately, one row per image (evaluation.md 1.5 step 4, 3.3).

Legend: u, uniform in [0,1).
"""

from __future__ import annotations

import numpy
import torch
from torch import Tensor

from uvlp.models.device import send

RATIO = (3 / 4, 4 / 3)
SQUARE = (1.0, 1.0)
CROP_ATTEMPTS = 10

Sides = int | numpy.ndarray
"""One side for all images, or int64 [N]."""


def crop_size(
    height_px: Sides,
    width_px: Sides,
    crop_scale: float,
    u_area: numpy.ndarray,
    u_ratio: numpy.ndarray,
    *,
    ratio: tuple[float, float] = RATIO,
) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """Return height and width (int64, px) of candidate crops, and whether they fit into the image.

    The area is uniform from ``crop_scale`` to 1, the log aspect ratio uniform between the logs of ``ratio``.
    """
    least, most = (float(numpy.log(each)) for each in ratio)
    area = height_px * width_px * (crop_scale + (1 - crop_scale) * u_area)
    aspect = numpy.exp(least + (most - least) * u_ratio)
    height = numpy.rint(numpy.sqrt(area / aspect)).astype(numpy.int64)
    width = numpy.rint(numpy.sqrt(area * aspect)).astype(numpy.int64)
    valid = (height > 0) & (height <= height_px) & (width > 0) & (width <= width_px)
    return height, width, valid


def draw_boxes(
    generator: numpy.random.Generator,
    height_px: numpy.ndarray,
    width_px: numpy.ndarray,
    crop_scale: float,
    *,
    ratio: tuple[float, float] = RATIO,
) -> numpy.ndarray:
    """Return int64 [N,4], top, left, height, width: the first of ten candidates that fits, or `widest_crop`.

    Args:
        generator: of the random numbers.
        height_px, width_px: int64 [N], sides of the images.
        crop_scale: smallest share of the area.
        ratio: least and greatest aspect ratio.
    """
    count = len(height_px)
    uniforms = generator.random((2, count, CROP_ATTEMPTS))
    height, width, valid = crop_size(
        height_px[:, None], width_px[:, None], crop_scale, *uniforms, ratio=ratio
    )
    chosen = numpy.arange(count), valid.argmax(1)
    height, width = height[chosen], width[chosen]
    fits = valid.any(1)
    top = generator.integers(0, numpy.where(fits, height_px - height, 0), endpoint=True)
    left = generator.integers(0, numpy.where(fits, width_px - width, 0), endpoint=True)
    drawn = numpy.stack((top, left, height, width))
    return numpy.where(fits, drawn, widest_crop(height_px, width_px, ratio).T).T


def widest_crop(
    height_px: numpy.ndarray, width_px: numpy.ndarray, ratio: tuple[float, float] = RATIO
) -> numpy.ndarray:
    """Return int64 [N,4]: the largest centred box with an aspect ratio within ``ratio``."""
    least, most = ratio
    height = numpy.where(width_px < least * height_px, numpy.rint(width_px / least), height_px)
    width = numpy.where(width_px > most * height_px, numpy.rint(height_px * most), width_px)
    box = ((height_px - height) // 2, (width_px - width) // 2, height, width)
    return numpy.stack(box, axis=1).astype(numpy.int64)


def antialiased(
    start: numpy.ndarray, length: numpy.ndarray, size_px: int, source_px: int, device: str = "cpu"
) -> Tensor:
    """Return matrices float64 [N,size_px,source_px] that resize ``length`` pixels from ``start`` on.

    A triangle filter around every output pixel's centre, as wide as the scale (at least one pixel) and
    truncated at the crop's edges: torchvision's antialiased bilinear resize of tensors.
    """
    first, extent = (send(array, device, torch.float64)[:, None, None] for array in (start, length))
    scale = extent / size_px
    steps, pixels = (
        torch.arange(count, dtype=torch.float64, device=device) + 0.5 for count in (size_px, source_px)
    )
    distance = (pixels - first - steps[:, None] * scale).abs()
    weights = (1 - distance / scale.clamp(min=1)).clamp_(min=0)
    weights *= (pixels > first) & (pixels < first + extent)
    return weights / weights.sum(2, keepdim=True)


def separable(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Apply matrices [N,S,H] to the rows and [N,T,W] to the columns of images [N,C,H,W]: [N,C,S,T]."""
    count, channels, height_px, width_px = images.shape
    by_columns = images.reshape(count, -1, width_px) @ columns.transpose(1, 2)
    return rows[:, None] @ by_columns.reshape(count, channels, height_px, -1)
