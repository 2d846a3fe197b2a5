"""RDED's training images against torchvision's transforms with the same draws, and their distribution."""

from __future__ import annotations

import numpy
import pytest
import torch
from torchvision.transforms.v2 import functional

from tests.tolerances import rounding
from uvlp.protocols.training import patches
from uvlp.protocols.training.augment import MEAN, STD
from uvlp.protocols.training.patches import SizedImages, shuffle, side_after, strips

SHAPES = [(40, 50), (64, 64), (40, 50), (33, 31), (16, 18), (64, 64)]


def images() -> list[numpy.ndarray]:
    generator = numpy.random.default_rng(0)
    return [generator.integers(0, 256, (*shape, 3), dtype=numpy.uint8) for shape in SHAPES]


def expected(pixels: numpy.ndarray, draws: patches.Draws, size_px: int, factor: int) -> torch.Tensor:
    """Apply the reference's transforms in sequence, for a single row of ``draws``."""
    image = torch.from_numpy(pixels).permute(2, 0, 1).double() / 255
    for dimension, order in ((2, draws.columns[0]), (1, draws.rows[0])):
        length = image.shape[dimension] // factor
        strips = [image.narrow(dimension, number * length, length) for number in range(factor)]
        image = torch.cat([strips[number] for number in order], dimension) if factor > 1 else image
    image = functional.resized_crop(image, *draws.box[0].tolist(), size=[size_px] * 2, antialias=True)
    image = functional.horizontal_flip(image) if draws.flip[0] else image
    return functional.normalize(image, list(MEAN), list(STD))


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("size_px", [24, 48])
def test_augmentation_agrees_with_torchvision(size_px: int, factor: int) -> None:
    pixels = images()
    kept, indices = SizedImages(pixels, "cpu"), numpy.asarray([3, 5, 0, 1, 4, 2, 0])
    draws = patches.draw(
        numpy.random.default_rng(1), kept.height_px[indices], kept.width_px[indices], factor=factor, flip=0.5
    )
    draws.flip[:2] = True, False
    found = patches.augment(kept, indices, draws, size_px, factor)
    assert found.dtype == torch.float32 and found.shape == (7, 3, size_px, size_px)
    bound = rounding(2 * 64 + 4, largest=4.4)  # 64 weights of a row and of a column, 1 / std
    for row, index in enumerate(indices):
        one = draws.select(slice(row, row + 1))
        torch.testing.assert_close(
            found[row].double(), expected(pixels[index], one, size_px, factor), rtol=0, atol=bound
        )


def test_factor_one_only_flips() -> None:
    pixels = [image for image in images() if image.shape[0] == 64]
    kept, indices = SizedImages(pixels, "cpu"), numpy.arange(2)
    draws = patches.draw(numpy.random.default_rng(0), kept.height_px, kept.width_px, factor=1, flip=0.5)
    draws.flip[:] = False, True
    found = patches.augment(kept, indices, draws, 64, 1)
    plain = torch.from_numpy(numpy.stack(pixels)).permute(0, 3, 1, 2) / 255
    plain[1] = plain[1].flip(2)
    bound = rounding(3 + 3, largest=4.4)
    torch.testing.assert_close(found, functional.normalize(plain, list(MEAN), list(STD)), rtol=0, atol=bound)


def test_distribution_of_orders_flips_and_crops() -> None:
    sides = numpy.full(30_000, 64)
    draws = patches.draw(numpy.random.default_rng(0), sides, sides, factor=3, flip=0.3)
    for order in (draws.columns, draws.rows):
        permutations, counts = numpy.unique(order, axis=0, return_counts=True)
        assert len(permutations) == 6
        numpy.testing.assert_allclose(counts / 30_000, 1 / 6, atol=0.011)
    assert numpy.corrcoef(draws.columns[:, 0], draws.rows[:, 0])[0, 1] == pytest.approx(0, abs=0.03)
    assert draws.flip.mean() == pytest.approx(0.3, abs=0.015)
    side = 3 * (64 // 3)
    area = draws.box[:, 2] * draws.box[:, 3] / side**2
    assert (draws.box[:, :2] + draws.box[:, 2:]).max() == side
    assert 0.32 < area.min() < 0.35 and area.max() == 1


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_every_image_is_shuffled_by_its_own_order(factor: int) -> None:
    generator = numpy.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (5, 3, 24, 36), dtype=numpy.uint8))
    columns, rows = (generator.permuted(numpy.tile(numpy.arange(factor), (5, 1)), axis=1) for _ in range(2))
    found = shuffle(images, columns, rows, factor)
    for image, shuffled, across, down in zip(images, found, columns, rows, strict=True):
        strip = image.split(36 // factor, dim=2)
        expected = torch.cat([strip[number] for number in across], 2).split(24 // factor, dim=1)
        assert torch.equal(shuffled, torch.cat([expected[number] for number in down], 1))


def test_one_patch_leaves_the_image_unchanged() -> None:
    images = torch.arange(27.0).reshape(1, 3, 3, 3)
    order = numpy.zeros((1, 1), dtype=int)
    assert shuffle(images, order, order, 1) is images


@pytest.mark.parametrize(
    ("side_px", "factor", "expected"),
    [
        (8, 2, [(0, 4), (4, 8)]),
        (9, 2, [(0, 4), (4, 8)]),  # the reference drops the last pixel
        (3, 2, [(0, 1), (1, 3)]),
        (7, 3, [(0, 2), (2, 7), (4, 6)]),  # golden case: the strip from pixel 2 extends to the end
        (9, 3, [(0, 3), (3, 6), (6, 9)]),
    ],
)
def test_strips(side_px: int, factor: int, expected: list[tuple[int, int]]) -> None:
    found = strips(side_px, factor)
    assert [(strip.start, strip.stop) for strip in found] == expected
    assert side_after(side_px, factor) == sum(stop - start for start, stop in expected)


SIZED_SHAPES = [(4, 5), (3, 3), (4, 5), (5, 4), (3, 3), (4, 5)]


def sized_images() -> list[numpy.ndarray]:
    generator = numpy.random.default_rng(0)
    return [generator.integers(0, 256, (*shape, 3), dtype=numpy.uint8) for shape in SIZED_SHAPES]


def test_images_are_returned_by_index() -> None:
    pixels = sized_images()
    kept = SizedImages(iter(pixels), "cpu")
    assert len(kept) == 6
    assert list(zip(kept.height_px.tolist(), kept.width_px.tolist(), strict=True)) == SIZED_SHAPES
    indices = numpy.asarray([5, 1, 3, 0, 4])
    found: dict[int, torch.Tensor] = {}
    for which, part in kept.by_shape(indices):
        found.update(zip(which.tolist(), part, strict=True))
    assert sorted(found) == [0, 1, 2, 3, 4]
    for position, index in enumerate(indices):
        numpy.testing.assert_array_equal(found[position].permute(1, 2, 0), pixels[index])


def test_images_of_one_shape_are_one_tensor() -> None:
    kept = SizedImages(numpy.zeros((7, 4, 4, 3), dtype=numpy.uint8), "cpu")
    ((which, part),) = kept.by_shape(numpy.asarray([2, 2, 6]))
    assert which.tolist() == [0, 1, 2] and part.shape == (3, 3, 4, 4)


def test_float_images_keep_values_beyond_the_range() -> None:
    generator = numpy.random.default_rng(0)
    wide = [generator.normal(0, 4, (8, 8, 3)).astype(numpy.float32) for _ in range(2)]
    kept = SizedImages(wide, "cpu")
    draws = patches.draw(generator, kept.height_px, kept.width_px, factor=1, flip=0.0)
    found = patches.augment(kept, numpy.arange(2), draws, 8, 1)
    expected = (numpy.stack(wide) - MEAN) / STD
    numpy.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-5)
