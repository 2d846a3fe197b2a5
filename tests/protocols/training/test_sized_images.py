"""Images of several shapes keep their order and their pixels."""

from __future__ import annotations

import numpy
import torch

from uvlp.protocols.training.patches import SizedImages

SHAPES = [(4, 5), (3, 3), (4, 5), (5, 4), (3, 3), (4, 5)]


def images() -> list[numpy.ndarray]:
    generator = numpy.random.default_rng(0)
    return [generator.integers(0, 256, (*shape, 3), dtype=numpy.uint8) for shape in SHAPES]


def test_every_image_is_found_again() -> None:
    pixels = images()
    kept = SizedImages(iter(pixels), "cpu")
    assert len(kept) == 6
    assert list(zip(kept.height_px.tolist(), kept.width_px.tolist(), strict=True)) == SHAPES
    indices = numpy.asarray([5, 1, 3, 0, 4])
    found: dict[int, torch.Tensor] = {}
    for which, part in kept.by_shape(indices):
        found.update(zip(which.tolist(), part, strict=True))
    assert sorted(found) == [0, 1, 2, 3, 4]
    for position, index in enumerate(indices):
        numpy.testing.assert_array_equal(found[position].permute(1, 2, 0), pixels[index])


def test_images_of_one_shape_come_in_one_part() -> None:
    kept = SizedImages(numpy.zeros((7, 4, 4, 3), dtype=numpy.uint8), "cpu")
    ((which, part),) = kept.by_shape(numpy.asarray([2, 2, 6]))
    assert which.tolist() == [0, 1, 2] and part.shape == (3, 3, 4, 4)
