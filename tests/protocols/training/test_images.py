from collections.abc import Sequence

import numpy
import pytest
import torch

from uvlp.protocols.training.images import Images, LazyPixels, prepare, resize_and_crop


def pixels(*shapes: tuple[int, int]) -> list[numpy.ndarray]:
    generator = numpy.random.default_rng(0)
    return [generator.integers(0, 256, (*shape, 3), dtype=numpy.uint8) for shape in shapes]


def test_images_of_the_right_size_are_unchanged() -> None:
    images = numpy.stack(pixels((16, 16), (16, 16)))
    numpy.testing.assert_array_equal(prepare(images, 16, resize_and_crop), images.transpose(0, 3, 1, 2))


def test_images_of_several_sizes_become_one_tensor() -> None:
    found = prepare(pixels((20, 31), (16, 16), (8, 9)), 16, resize_and_crop)
    assert found.shape == (3, 3, 16, 16) and found.dtype == torch.uint8


def test_lazy_images_equal_eager_ones() -> None:
    images, reads = pixels(*[(4, 4)] * 150), []

    def read(positions: Sequence[int]) -> list[numpy.ndarray]:
        reads.append(len(positions))
        return [images[position] for position in positions]

    lazy = LazyPixels(read, len(images))
    assert reads == [] and len(lazy) == 150
    numpy.testing.assert_array_equal(numpy.stack(list(lazy)), numpy.stack(images))
    assert max(reads) == 64
    numpy.testing.assert_array_equal(lazy[-1], images[-1])
    numpy.testing.assert_array_equal(lazy[3:5], images[3:5])


def test_every_image_needs_a_label() -> None:
    with pytest.raises(AssertionError, match="one label per image"):
        Images(pixels=pixels((4, 4)), labels=numpy.zeros(2, numpy.int64))
