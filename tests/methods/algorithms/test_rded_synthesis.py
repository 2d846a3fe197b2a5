"""RDED's synthesis beyond the golden cases: ties, uneven padding, too few images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from uvlp.core.errors import UvlpError
from uvlp.methods.algorithms.rded_synthesis import crop_losses, mosaics, select_crops


def test_ties_go_to_the_first_image_and_crop() -> None:
    losses = torch.tensor([[2.0, 1.0, 1.0], [3.0, 3.0, 3.0], [1.0, 5.0, 1.0]])
    assert select_crops(losses, 3).tolist() == [[0, 1], [2, 0], [1, 0]]
    with pytest.raises(UvlpError) as caught:
        select_crops(losses, 4)
    assert (caught.value.got, caught.value.allowed) == (3, "at least 4")


def test_crops_are_padded_with_zeros() -> None:
    seen = []

    class Teacher(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return images.flatten(2).sum(2)

    losses = crop_losses(Teacher(), torch.ones(2, 4, 3, 2, 2), 1, 5)
    assert losses.shape == (2, 4)
    torch.testing.assert_close(losses, torch.full((2, 4), 3.0).log())
    (images,) = seen
    assert images.shape == (8, 3, 5, 5) and images.sum() == 8 * 3 * 4
    assert (images[:, :, 1:3, 1:3] == 1).all()


def test_best_crops_are_spread_over_the_mosaics() -> None:
    crops = torch.arange(8.0)[:, None, None, None].expand(8, 3, 4, 4)
    images = mosaics(crops, 2, 4)
    assert images[0, 0].tolist() == [[0, 0, 2, 2], [0, 0, 2, 2], [4, 4, 6, 6], [4, 4, 6, 6]]
    assert torch.equal(images[1], images[0] + 1)
