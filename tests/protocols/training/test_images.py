from collections.abc import Sequence

import numpy
import pytest
import torch

from uvlp.protocols.training.images import Images, LazyPixels, prepare, resize_and_crop, unit


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


def test_float_images_are_resized_without_rounding_or_clamping() -> None:
    (image,) = pixels((20, 31))
    wide = image.astype(numpy.float32) / 32 - 4
    found = prepare([wide], 16, resize_and_crop, floats=True)
    assert found.dtype == torch.float32
    assert float(found.min()) < 0 and float(found.max()) > 1
    # The filter is linear: it differs from that of bytes by their rounding, in two passes of PIL.
    expected = prepare([image], 16, resize_and_crop).float() / 32 - 4
    torch.testing.assert_close(found, expected, rtol=0, atol=1.01 / 32)
    assert torch.equal(
        prepare([wide[:16, :16]], 16, resize_and_crop, floats=True)[0].permute(1, 2, 0),
        torch.from_numpy(wide[:16, :16]),
    )


def test_only_bytes_are_divided() -> None:
    assert torch.equal(unit(torch.tensor([0, 255], dtype=torch.uint8)), torch.tensor([0.0, 1.0]))
    assert torch.equal(unit(torch.tensor([-3.0, 2.0])), torch.tensor([-3.0, 2.0]))
