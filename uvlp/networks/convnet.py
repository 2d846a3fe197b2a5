"""ConvNet-D: D blocks of 3x3 convolution, normalisation, ReLU and 2x2 average pooling.

evaluation.md 2.1; the network of the dataset-distillation literature (Gidaris & Komodakis 2018).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from uvlp.networks.parts import network_sizes
from uvlp.networks.parts.layers import AveragePool, normalisation

REVISION = 1
WIDTH = 128
LEAST_PX = {1: 2, 2: 4, 3: 8, 4: 16, 5: 32, 6: 64, 7: 128, 8: 256, 9: 512, 10: 1024, 11: 2048, 12: 4096}
"""Smallest image by depth: every block halves the map, which must keep a pixel; 12 is the deepest."""


class ConvNet(nn.Module):
    """``depth`` blocks of ``width`` channels and a linear classifier on the flattened maps."""

    def __init__(self, depth: int, classes: int, size_px: int, norm: str, width: int) -> None:
        super().__init__()
        inputs = [3] + [width] * (depth - 1)
        convolutions = nn.ModuleList(nn.Conv2d(channels, width, 3, padding=1) for channels in inputs)
        norms = nn.ModuleList(normalisation(norm, width) for _ in inputs)
        self.layers = nn.ModuleDict({"conv": convolutions, "norm": norms})
        self.pools = nn.ModuleList(AveragePool(size_px >> block) for block in range(depth))
        self.classifier = nn.Linear(width * (size_px >> depth) ** 2, classes)

    def taps(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the maps [N,width,s,s] after each block's pooling."""
        features = images
        parts = (*self.layers.values(), self.pools)
        for convolution, norm, pool in zip(*(part.children() for part in parts), strict=True):
            features = pool(torch.relu_(norm(convolution(features))))
            yield features

    def embed(self, images: Tensor) -> Tensor:
        """Flattened maps of the last block [N, width s s], the classifier's input."""
        *_, features = self.taps(images)
        return features.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of normalised images [N,3,S,S]."""
        return self.classifier(self.embed(images))


def build(depth: int, *, classes: int, size_px: int, norm: str = "instance", width: int = 0) -> nn.Module:
    """Build a ConvNet with PyTorch's default initialisation.

    Args:
        depth: number of blocks, each halving the map.
        classes: number of outputs.
        size_px: side of the input images.
        norm: "instance" or "batch".
        width: channels of every block; 0 for the published 128.

    Raises:
        UvlpError: the images are too small for the depth, or ``norm`` is unknown.
    """
    network_sizes.check("convnet", LEAST_PX, depth, size_px)
    return ConvNet(depth, classes, size_px, norm, width or WIDTH)
