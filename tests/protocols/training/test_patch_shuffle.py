"""Patch shuffling against the reference's words, on every side and factor."""

from __future__ import annotations

import numpy
import pytest
import torch

from uvlp.protocols.training.patches import shuffle, side_after, strips


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_every_image_has_its_own_order(factor: int) -> None:
    generator = numpy.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (5, 3, 24, 36), dtype=numpy.uint8))
    columns, rows = (generator.permuted(numpy.tile(numpy.arange(factor), (5, 1)), axis=1) for _ in range(2))
    found = shuffle(images, columns, rows, factor)
    for image, shuffled, across, down in zip(images, found, columns, rows, strict=True):
        strip = image.split(36 // factor, dim=2)
        expected = torch.cat([strip[number] for number in across], 2).split(24 // factor, dim=1)
        assert torch.equal(shuffled, torch.cat([expected[number] for number in down], 1))


def test_no_patches_no_change() -> None:
    images = torch.arange(27.0).reshape(1, 3, 3, 3)
    order = numpy.zeros((1, 1), dtype=int)
    assert shuffle(images, order, order, 1) is images


@pytest.mark.parametrize(
    ("side_px", "factor", "expected"),
    [
        (8, 2, [(0, 4), (4, 8)]),
        (9, 2, [(0, 4), (4, 8)]),  # the reference loses the last pixel
        (3, 2, [(0, 1), (1, 3)]),
        (7, 3, [(0, 2), (2, 7), (4, 6)]),  # golden case: the strip from pixel 2 on takes all
        (9, 3, [(0, 3), (3, 6), (6, 9)]),
    ],
)
def test_strips(side_px: int, factor: int, expected: list[tuple[int, int]]) -> None:
    found = strips(side_px, factor)
    assert [(strip.start, strip.stop) for strip in found] == expected
    assert side_after(side_px, factor) == sum(stop - start for start, stop in expected)
