import numpy
import pytest
import torch

from uvlp.blocks.image_sets import Images, prepare


def pixels(*shapes: tuple[int, int]) -> list[numpy.ndarray]:
    generator = numpy.random.default_rng(0)
    return [generator.integers(0, 256, (*shape, 3), dtype=numpy.uint8) for shape in shapes]


def test_images_of_the_right_size_are_left_as_they_are() -> None:
    images = numpy.stack(pixels((16, 16), (16, 16)))
    numpy.testing.assert_array_equal(prepare(images, 16), images.transpose(0, 3, 1, 2))


def test_images_of_several_sizes_become_one_tensor() -> None:
    found = prepare(pixels((20, 31), (16, 16), (8, 9)), 16)
    assert found.shape == (3, 3, 16, 16) and found.dtype == torch.uint8


def test_preparation_is_done_once() -> None:
    images = Images(pixels=pixels((20, 20)), labels=numpy.zeros(1, numpy.int64))
    assert images.prepared(16) is images.prepared(16)
    assert images.prepared(8).shape[-1] == 8


def test_every_image_needs_a_label() -> None:
    with pytest.raises(AssertionError, match="one label per image"):
        Images(pixels=pixels((4, 4)), labels=numpy.zeros(2, numpy.int64))
