"""Random resized crops of images of any shape against torchvision."""

from __future__ import annotations

import numpy
import pytest
import torch
from torchvision.transforms.v2 import RandomResizedCrop
from torchvision.transforms.v2.functional import resized_crop

from tests.tolerances import rounding
from uvlp.protocols.training.random_crop import antialiased, draw_boxes, separable, widest_crop


@pytest.mark.parametrize("size_px", [8, 16, 25])
@pytest.mark.parametrize(
    "box", [(0, 0, 40, 31), (3, 5, 16, 16), (1, 2, 37, 9), (20, 0, 5, 31), (39, 30, 1, 1), (0, 4, 25, 25)]
)
def test_antialiased_crop_and_resize(box: tuple[int, int, int, int], size_px: int) -> None:
    images = torch.from_numpy(numpy.random.default_rng(0).random((2, 3, 40, 31)))
    top, left, height, width = (numpy.asarray([value] * 2) for value in box)
    rows = antialiased(top, height, size_px, 40)
    columns = antialiased(left, width, size_px, 31)
    found = separable(images, rows, columns)
    expected = resized_crop(images, *box, size=[size_px, size_px], antialias=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=rounding(40 + 31 + 2 * 6, torch.float64))


def test_resizing_to_the_same_size_is_the_identity() -> None:
    matrix = antialiased(numpy.zeros(1), numpy.full(1, 32), 32, 32)
    assert torch.equal(matrix[0], torch.eye(32, dtype=torch.float64))


@pytest.mark.parametrize("side_px", [8, 32, 64, 224])
def test_scale_one_gives_the_entire_square(side_px: int) -> None:
    sides = numpy.full(20_000, side_px)
    boxes = draw_boxes(numpy.random.default_rng(0), sides, sides, 1.0)
    assert (boxes == [0, 0, side_px, side_px]).all()


def test_scale_one_gives_entire_rectangles_up_to_a_pixel() -> None:
    height, width = numpy.full(20_000, 30), numpy.full(20_000, 40)
    boxes = draw_boxes(numpy.random.default_rng(0), height, width, 1.0)
    assert (boxes[:, 2:] >= [29, 39]).all() and (boxes[:, 2:] <= [30, 40]).all()


@pytest.mark.parametrize("sides", [(375, 500), (500, 333), (100, 300), (64, 64)])
@pytest.mark.parametrize("scale", [0.5, 0.25])
def test_distribution_on_other_shapes_is_that_of_torchvision(sides: tuple[int, int], scale: float) -> None:
    """Means and standard deviations of top, left, height, width within six standard errors."""
    count, reference_count = 20_000, 1_000
    height, width = (numpy.full(count, side) for side in sides)
    found = draw_boxes(numpy.random.default_rng(0), height, width, scale)
    assert (found[:, :2] >= 0).all() and (found[:, :2] + found[:, 2:] <= sides).all()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        crop = RandomResizedCrop(8, scale=(scale, 1.0), antialias=True)
        image = torch.zeros(3, *sides, dtype=torch.uint8)
        drawn = [crop.make_params([image]) for _ in range(reference_count)]
    expected = numpy.asarray([[one[key] for key in ("top", "left", "height", "width")] for one in drawn])
    error = 6 * expected.std(0) / numpy.sqrt(reference_count) + 1e-9
    assert (abs(found.mean(0) - expected.mean(0)) <= error).all()
    assert (abs(found.std(0) - expected.std(0)) <= error).all()


def test_the_fallback_is_the_widest_allowed_ratio() -> None:
    height, width = numpy.asarray([100, 300, 90, 64]), numpy.asarray([300, 101, 90, 80])
    expected = [[0, 83, 100, 133], [82, 0, 135, 101], [0, 0, 90, 90], [0, 0, 64, 80]]
    assert widest_crop(height, width).tolist() == expected


def test_boxes_fit_images_of_different_shapes() -> None:
    height, width = numpy.asarray([10, 200] * 500), numpy.asarray([20, 300] * 500)
    boxes = draw_boxes(numpy.random.default_rng(1), height, width, 0.5)
    assert (boxes[::2, 2:] <= [10, 20]).all() and (boxes[1::2, 2:].min(0) > [50, 50]).all()
    assert (boxes[:, 0] + boxes[:, 2] <= height).all() and (boxes[:, 1] + boxes[:, 3] <= width).all()
