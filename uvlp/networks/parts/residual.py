"""The structure that ResNet and ResNetAP share: stem, four stages, global average pooling, classifier."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor, nn

from uvlp.networks.parts.layers import convolution, initialise_by_fan_out, normalisation


class Block(Protocol):
    """A class of residual blocks; a block outputs ``expansion * width`` channels."""

    expansion: int

    def __call__(self, inputs: int, width: int, stride: int, norm: str) -> nn.Module:
        """Build a block with ``inputs`` input channels."""


class Stem(nn.Module):
    """Convolution, normalisation, ReLU and pooling, registered as `conv1` and `bn1`."""

    def __init__(self, width: int, kernel_px: int, stride: int, pool: nn.Module, norm: str) -> None:
        super().__init__()
        self.conv1 = convolution(3, width, kernel_px, stride)
        self.bn1 = normalisation(norm, width)
        self.relu = nn.ReLU(inplace=True)
        self.pool = pool

    def forward(self, images: Tensor) -> Tensor:
        """Images [N,3,S,S] to feature maps [N,width,s,s]."""
        return self.pool(self.relu(self.bn1(self.conv1(images))))


class ResidualNetwork(nn.Module):
    """Four stages of residual blocks between a stem and a linear classifier (evaluation.md 2.2).

    Args:
        stem: module from [N,3,S,S] to [N,width,s,s].
        block: class of the residual block, with an ``expansion``.
        blocks: number of blocks per stage.
        width: channels of the first stage; each further stage doubles them.
        classes: number of outputs.
        norm: "instance" or "batch".
    """

    def __init__(
        self, stem: nn.Module, block: Block, blocks: tuple[int, ...], width: int, classes: int, norm: str
    ) -> None:
        super().__init__()
        self.layer0 = stem
        inputs = width
        for number, count in enumerate(blocks, start=1):
            stage, inputs = _stage(block, inputs, width << (number - 1), count, 1 if number == 1 else 2, norm)
            self.add_module(f"layer{number}", stage)
        self.stages = len(blocks)
        self.fc = nn.Linear(inputs, classes)
        initialise_by_fan_out(self)

    def taps(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the maps of the stem and of each stage, and the pooled vectors [N, features]."""
        features = images
        for number in range(self.stages + 1):
            features = self.get_submodule(f"layer{number}")(features)
            yield features
        yield features.mean((2, 3))

    def embed(self, images: Tensor) -> Tensor:
        """Return the pooled vectors [N, features], tap 5: the features of Herding and K-Center."""
        *_, pooled = self.taps(images)
        return pooled

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of normalised images [N,3,S,S]."""
        return self.fc(self.embed(images))


def _stage(
    block: Block, inputs: int, width: int, count: int, stride: int, norm: str
) -> tuple[nn.Sequential, int]:
    """Build ``count`` blocks, the first with ``stride``; return them and their number of output channels."""
    outputs = width * block.expansion
    blocks = [block(inputs, width, stride, norm)]
    blocks += [block(outputs, width, 1, norm) for _ in range(count - 1)]
    return nn.Sequential(*blocks), outputs
