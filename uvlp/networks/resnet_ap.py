"""ResNetAP: a ResNet downsampled by average pooling instead of strides (evaluation.md 2.2, IDC 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uvlp.networks.parts import network_sizes
from uvlp.networks.parts.layers import convolution, normalisation
from uvlp.networks.parts.residual import ResidualNetwork, Stem

REVISION = 1
WIDTH = 64
BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
LEAST_PX = {10: 8, 18: 8, 34: 8}
"""Smallest image by depth: three stages halve the map, which must keep a pixel."""


def _pool(stride: int) -> nn.Module:
    return nn.AvgPool2d(stride) if stride > 1 else nn.Identity()


class PooledBlock(nn.Module):
    """Two 3x3 convolutions with average pooling between them, and a pooled shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, width, 3)
        self.bn1 = normalisation(norm, width)
        self.pool = _pool(stride)
        self.conv2 = convolution(width, width, 3)
        self.bn2 = normalisation(norm, width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != width:
            # Pooling precedes normalisation, so the statistics are those of the pooled map.
            self.downsample = nn.Sequential(
                convolution(inputs, width, 1), _pool(stride), normalisation(norm, width)
            )

    def forward(self, features: Tensor) -> Tensor:
        """Maps [N,inputs,s,s] to [N,width,s/stride,s/stride]."""
        residual = self.pool(torch.relu_(self.bn1(self.conv1(features))))
        residual = self.bn2(self.conv2(residual))
        return torch.relu_(residual + self.downsample(features))


def _stem(size_px: int, width: int, norm: str) -> Stem:
    if size_px <= 64:
        return Stem(width, 3, 1, nn.Identity(), norm)
    return Stem(width, 3, 1, _pool(2), norm) if size_px <= 128 else Stem(width, 7, 1, _pool(4), norm)


def build(depth: int, *, classes: int, size_px: int, norm: str = "instance", width: int = 0) -> nn.Module:
    """Build a ResNetAP; the stem depends on the image size: up to 64 px, up to 128 px, larger.

    Args:
        depth: 10, 18 or 34.
        classes: number of outputs.
        size_px: side of the input images.
        norm: "instance" or "batch".
        width: channels of the first stage; 0 for the published 64.

    Raises:
        UvlpError: unknown depth or ``norm``, or images of less than 8 px.
    """
    network_sizes.check("resnet-ap", LEAST_PX, depth, size_px)
    width = width or WIDTH
    return ResidualNetwork(_stem(size_px, width, norm), PooledBlock, BLOCKS[depth], width, classes, norm)
