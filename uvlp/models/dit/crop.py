"""Square images of the side that a DiT generates, cropped as by ADM (evaluation.md 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uvlp.core.files import json_files


@cache
def side_px(model: Path) -> int:
    """Return the side of the images of a DiTPipeline folder."""
    transformer = json_files.read_object(model / "transformer" / "config.json")
    vae = json_files.read_object(model / "vae" / "config.json")
    return int(transformer.get("sample_size", 32)) << (len(vae["block_out_channels"]) - 1)


def cropped(images: Sequence[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
    """Return uint8 [n, side, side, 3] of images uint8 [H, W, 3] of any size.

    An image is halved by a box filter while its shorter side is at least twice ``side``, resized by a bicubic
    filter until it is ``side``, and cropped to the centre.
    """
    return np.stack([_cropped(image, side) for image in images])


def _cropped(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    while min(image.size) >= 2 * side:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = side / min(image.size)
    size = round(image.width * scale), round(image.height * scale)
    resized = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    top, left = (size[1] - side) // 2, (size[0] - side) // 2
    return resized[top : top + side, left : left + side]
