"""RDED's synthesis: mosaics of the most recognisable crops (evaluation.md 3.6; Sun et al. 2024)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, pad

from uvlp.core.errors import too_few_images


@torch.inference_mode()
def crop_losses(teacher: nn.Module, crops: Tensor, label: int, size_px: int) -> Tensor:
    """The teacher's cross-entropy for every crop, [M,K].

    Args:
        teacher: maps [N,3,size_px,size_px] to logits [N,C], in evaluation mode.
        crops: [M,K,3,s,s], K normalised crops of each of M images, s at most ``size_px``.
        label: class of all images.
        size_px: side to which the crops are padded with zeros, the mean colour.
    """
    before = (size_px - crops.shape[-1]) // 2
    after = size_px - crops.shape[-1] - before
    logits = teacher(pad(crops.flatten(0, 1), (before, after, before, after)))
    labels = torch.full((len(logits),), label, device=logits.device)
    return cross_entropy(logits, labels, reduction="none").reshape(crops.shape[:2])


def select_crops(losses: Tensor, count: int) -> Tensor:
    """The best crop of each of the ``count`` best images, int64 [count,2] of (image, crop), best first.

    Ties go to the lowest index.

    Args:
        losses: [M,K] of `crop_losses`.

    Raises:
        UvlpError: there are fewer images than ``count``.
    """
    if len(losses) < count:
        raise too_few_images(len(losses), count)
    least, crop = losses.min(1)
    image = least.argsort(stable=True)[:count]
    return torch.stack((image, crop[image]), 1)


def mosaics(crops: Tensor, factor: int, size_px: int) -> Tensor:
    """``factor`` x ``factor`` crops in every image, [n,C,size_px,size_px].

    Args:
        crops: [n factor², C,s,s], best first. Image j contains crops j, n+j, 2n+j, ... row by row, so that
            the best are spread over the images.
        factor: crops along a side.
        size_px: side of the mosaic. If ``factor`` does not divide it, the first rows and columns are a pixel
            larger; crops of a different size are resized with nearest-neighbour interpolation.
    """
    cells = crops.unflatten(0, (factor, factor, -1))
    sides = [size_px // factor + (index < size_px % factor) for index in range(factor)]
    rows = [
        torch.cat([interpolate(cell, (height, width)) for cell, width in zip(row, sides, strict=True)], dim=3)
        for row, height in zip(cells, sides, strict=True)
    ]
    return torch.cat(rows, dim=2)
