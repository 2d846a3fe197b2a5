"""Siamese augmentation against the published formulas written out pixel by pixel, and its gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy
import pytest
import torch
from torch import Tensor

from tests.tolerances import rounding
from uvlp.methods.algorithms.optimising.siamese_augmentation import (
    OPERATIONS,
    Draws,
    augment,
    augment_alike,
    draw,
)

SIZES = (2, 5, 8, 9)
ROWS = (1, 3)  # one change for all images, one for each
Pixels = numpy.ndarray


def images(size_px: int) -> Tensor:
    return torch.from_numpy(numpy.random.default_rng(size_px).normal(size=(3, 3, size_px, size_px)))


def colour(image: Pixels, draws: Draws, k: int) -> Pixels:
    image = image + draws.brightness[k]
    grey = (image[0] + image[1] + image[2]) / 3
    image = (image - grey) * draws.saturation[k] + grey
    return (image - image.mean()) * draws.contrast[k] + image.mean()


def crop(image: Pixels, draws: Draws, k: int) -> Pixels:
    """Pad by one pixel of zeros, and read at indices that are clamped to the padding."""
    side = image.shape[1]
    padded = numpy.pad(image, ((0, 0), (1, 1), (1, 1)))
    rows, columns = (numpy.clip(numpy.arange(side) + shift + 1, 0, side + 1) for shift in draws.shift[k])
    return padded[:, rows][:, :, columns]


def cutout(image: Pixels, draws: Draws, k: int) -> Pixels:
    side = image.shape[1]
    hole = int(side / 2 + 0.5)
    image = image.copy()
    for row in range(draws.cutout[k, 0] - hole // 2, draws.cutout[k, 0] - hole // 2 + hole):
        for column in range(draws.cutout[k, 1] - hole // 2, draws.cutout[k, 1] - hole // 2 + hole):
            image[:, min(max(row, 0), side - 1), min(max(column, 0), side - 1)] = 0
    return image


def flip(image: Pixels, draws: Draws, k: int) -> Pixels:
    return image[:, :, ::-1] if draws.flip[k] else image


def scale(image: Pixels, draws: Draws, k: int) -> Pixels:
    down, across = draws.scale[k]
    return affine(image, numpy.array([[across, 0], [0, down]]))


def rotate(image: Pixels, draws: Draws, k: int) -> Pixels:
    cosine, sine = math.cos(draws.angle[k]), math.sin(draws.angle[k])
    return affine(image, numpy.array([[cosine, -sine], [sine, cosine]]))


def affine(image: Pixels, matrix: Pixels) -> Pixels:
    """Read at matrix (x, y), in coordinates in which the image spans -1 to 1; bilinear, 0 outside."""
    side = image.shape[1]
    result = numpy.zeros_like(image)
    for row in range(side):
        for column in range(side):
            place = matrix @ [(2 * column + 1) / side - 1, (2 * row + 1) / side - 1]
            x, y = ((place + 1) * side - 1) / 2
            for i in range(side):
                for j in range(side):
                    weight = max(0, 1 - abs(y - i)) * max(0, 1 - abs(x - j))
                    result[:, row, column] += weight * image[:, i, j]
    return result


BY_PIXEL: dict[str, Callable[[Pixels, Draws, int], Pixels]] = {
    "colour": colour,
    "crop": crop,
    "cutout": cutout,
    "flip": flip,
    "scale": scale,
    "rotate": rotate,
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_are_the_published_ones(operation: str) -> None:
    generator = numpy.random.default_rng(0)
    for size_px in SIZES:
        for rows in ROWS * 4:
            draws = draw(generator, (operation,), size_px, rows=rows)
            found = augment(images(size_px), draws)
            for index, image in enumerate(images(size_px).numpy()):
                expected = torch.from_numpy(BY_PIXEL[operation](image, draws, index % rows).copy())
                # A mean of the image, or four weights of coordinates of up to its side, on values below 8.
                bound = rounding(3 * size_px**2 + 16, torch.float64, largest=8 * size_px)
                exact = operation in ("crop", "cutout", "flip")
                torch.testing.assert_close(found[index], expected, rtol=0, atol=0 if exact else bound)


def test_all_operations_follow_each_other() -> None:
    draws = draw(numpy.random.default_rng(1), ("rotate", "colour", "cutout"), 8)
    found = augment(images(8), draws)
    expected = images(8).numpy()
    for operation in (rotate, colour, cutout):
        expected = numpy.stack([operation(image, draws, 0) for image in expected])
    bound = rounding(2 * 3 * 8**2 + 32, torch.float64, largest=64)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=bound)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("operations", [*((each,) for each in OPERATIONS), OPERATIONS])
def test_gradients(operations: tuple[str, ...], rows: int) -> None:
    draws = draw(numpy.random.default_rng(2), operations, 5, rows=rows)
    assert torch.autograd.gradcheck(lambda pixels: augment(pixels, draws), images(5).requires_grad_())


def test_ranges() -> None:
    rows, size_px = 20_000, 32
    draws = draw(numpy.random.default_rng(3), (), size_px, rows=rows)
    ranges = {
        "brightness": (-0.5, 0.5),
        "saturation": (0, 2),
        "contrast": (0.5, 1.5),
        "scale": (1 / 1.2, 1.2),
        "angle": (-15 / 180 * math.pi, 15 / 180 * math.pi),
        "shift": (-4, 4),
        "cutout": (0, 32),
    }
    for name, (least, most) in ranges.items():
        values = getattr(draws, name)
        near = (most - least) / 1_000 if values.dtype == numpy.float64 else 0
        assert least <= values.min() <= least + near, name
        assert most - near <= values.max() <= most, name
    # Six standard deviations of a fair coin.
    assert abs(draws.flip.mean() - 0.5) < 6 * 0.5 / math.sqrt(rows)


def test_both_sides_change_alike() -> None:
    """One draw gives the real and the synthetic images of a class the same change, together or apart."""
    draws = draw(numpy.random.default_rng(4), OPERATIONS, 8)
    real, synthetic = images(8)[:2], images(8)[2:]
    together = augment(torch.cat([real, synthetic]), draws)
    apart = torch.cat([augment(real, draws), augment(synthetic, draws)])
    assert torch.equal(torch.cat(list(augment_alike([real, synthetic], draws))), apart)
    torch.testing.assert_close(together, apart, rtol=0, atol=rounding(6 * 64, torch.float64, largest=64))
    same = augment(images(8)[:1].expand(2, -1, -1, -1), draws)
    torch.testing.assert_close(same[0], same[1], rtol=0, atol=rounding(6 * 64, torch.float64, largest=64))


def test_a_single_operation_is_drawn() -> None:
    draws = [draw(numpy.random.default_rng(seed), OPERATIONS, 8, single=True) for seed in range(200)]
    assert {each.operations for each in draws} == {(operation,) for operation in OPERATIONS}
    assert draw(numpy.random.default_rng(0), OPERATIONS, 8).operations == OPERATIONS
    assert draw(numpy.random.default_rng(0), (), 8, single=True).operations == ()


def test_the_dtype_is_kept() -> None:
    draws = draw(numpy.random.default_rng(5), OPERATIONS, 8)
    assert augment(images(8).float(), draws).dtype == torch.float32
