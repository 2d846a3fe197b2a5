"""ResNet: residual stages downsampled by strided convolutions (evaluation.md 2.2, He et al. 2016).

With ``width=32`` and depth 10 or 18 this is also the reference's variant for CIFAR.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uvlp.networks.parts import network_sizes
from uvlp.networks.parts.layers import convolution, normalisation
from uvlp.networks.parts.residual import ResidualNetwork, Stem

REVISION = 1
WIDTH = 64
BASIC = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
LEAST_PX = {10: 8, 18: 8, 34: 8, 50: 8, 101: 8, 152: 8}
"""Smallest image by depth: three stages halve the map, which must keep a pixel."""


def _shortcut(inputs: int, outputs: int, stride: int, norm: str) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(convolution(inputs, outputs, 1, stride), normalisation(norm, outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, width, 3, stride)
        self.bn1 = normalisation(norm, width)
        self.conv2 = convolution(width, width, 3)
        self.bn2 = normalisation(norm, width)
        self.downsample = _shortcut(inputs, width, stride, norm)

    def forward(self, features: Tensor) -> Tensor:
        """Maps [N,inputs,s,s] to [N,width,s/stride,s/stride]."""
        residual = torch.relu_(self.bn1(self.conv1(features)))
        residual = self.bn2(self.conv2(residual))
        return torch.relu_(residual + self.downsample(features))


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3 (strided) and 1x1 with four times the channels, and a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, norm: str) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = convolution(inputs, width, 1)
        self.bn1 = normalisation(norm, width)
        self.conv2 = convolution(width, width, 3, stride)
        self.bn2 = normalisation(norm, width)
        self.conv3 = convolution(width, outputs, 1)
        self.bn3 = normalisation(norm, outputs)
        self.downsample = _shortcut(inputs, outputs, stride, norm)

    def forward(self, features: Tensor) -> Tensor:
        """Maps [N,inputs,s,s] to [N,4 width,s/stride,s/stride]."""
        residual = torch.relu_(self.bn1(self.conv1(features)))
        residual = torch.relu_(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        return torch.relu_(residual + self.downsample(features))


def _stem(size_px: int, width: int, norm: str) -> Stem:
    if size_px <= 64:
        return Stem(width, 3, 1, nn.Identity(), norm)
    pool = nn.MaxPool2d(3, stride=2, padding=1)
    return Stem(width, 3, 1, pool, norm) if size_px <= 128 else Stem(width, 7, 2, pool, norm)


def build(depth: int, *, classes: int, size_px: int, norm: str = "instance", width: int = 0) -> nn.Module:
    """Build a ResNet; the stem depends on the image size: up to 64 px, up to 128 px, larger.

    Args:
        depth: 10, 18, 34 (basic blocks), 50, 101, 152 (bottlenecks).
        classes: number of outputs.
        size_px: side of the input images.
        norm: "instance" or "batch".
        width: channels of the first stage; 0 for the published 64.

    Raises:
        UvlpError: unknown depth or ``norm``, or images of less than 8 px.
    """
    network_sizes.check("resnet", LEAST_PX, depth, size_px)
    width = width or WIDTH
    block = BasicBlock if depth in BASIC else Bottleneck
    blocks = BASIC[depth] if depth in BASIC else BOTTLENECK[depth]
    return ResidualNetwork(_stem(size_px, width, norm), block, blocks, width, classes, norm)
