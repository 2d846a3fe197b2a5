"""A classification problem that a small network learns in seconds."""

from __future__ import annotations

import numpy
import torch

from uvlp.protocols.training.images import Images, Prepared

CLASSES = 2


def stripes(count: int, seed: int, size_px: int = 8, noise: float = 25) -> Images:
    """Return noise with horizontal (0) or vertical (1) stripes, which flips and colours do not change."""
    generator = numpy.random.default_rng(seed)
    labels = numpy.arange(count) % CLASSES
    pattern = numpy.tile(numpy.repeat([60, 190], 2), size_px // 4)[:, None] * numpy.ones((size_px, size_px))
    images = numpy.where(labels[:, None, None] == 0, pattern, pattern.T)[..., None]
    noisy = images + generator.normal(0, noise, (count, size_px, size_px, 3))
    return Images(pixels=noisy.clip(0, 255).astype(numpy.uint8), labels=labels)


def prepared(images: Images) -> Prepared:
    """Return the images at their original size as a network's input."""
    pixels = torch.from_numpy(numpy.asarray(images.pixels)).permute(0, 3, 1, 2).contiguous()
    return Prepared(pixels=pixels, labels=images.labels, name="stripes")
