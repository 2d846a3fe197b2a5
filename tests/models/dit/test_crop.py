"""Crops of ADM, against means and corners."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests import tiny_models
from uvlp.models.dit import crop


def test_large_images_are_halved_by_means() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    expected = image.reshape(4, 2, 4, 2, 3).mean((1, 3))
    (found,) = crop.cropped([image], 4)
    assert np.abs(found - expected).max() <= 1  # rounded to a level in each direction


def test_the_centre_is_cropped_without_resizing_an_image_of_the_side() -> None:
    image = np.random.default_rng(1).integers(0, 256, (4, 7, 3)).astype(np.uint8)
    found = crop.cropped([image, image.transpose(1, 0, 2)], 4)
    np.testing.assert_array_equal(found[0], image[:, 1:5])
    np.testing.assert_array_equal(found[1], image.transpose(1, 0, 2)[1:5])


def test_the_side_is_that_of_the_latents_times_the_autoencoder(tmp_path: Path) -> None:
    assert crop.side_px(tiny_models.dit(tmp_path / "dit")) == 64
