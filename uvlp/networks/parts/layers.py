"""Layers shared by the test networks of the Minimax protocol (evaluation.md 2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from uvlp.core.errors import UvlpError

NORMS = ("instance", "batch")


def normalisation(kind: str, channels: int) -> nn.Module:
    """Return the normalisation layer ``kind`` for ``channels`` feature maps.

    "instance" is GroupNorm with one group per channel: statistics per image and channel over
    the pixels, learned scale and shift, the same in training and evaluation (evaluation.md 2).

    Raises:
        UvlpError: ``kind`` is neither "instance" nor "batch".
    """
    if kind == "instance":
        return nn.GroupNorm(channels, channels, eps=1e-5)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    raise UvlpError("unknown normalisation", got=kind, allowed=", ".join(NORMS))


class AveragePool(nn.Module):
    """2x2 average pooling with stride 2 of maps of a known side; an odd last row and column are dropped.

    On a CPU each pair of rows is multiplied by a constant matrix, which takes about a fifth of the
    time of torch's kernel (forward and backward, 16 and 32 px) and is equal up to rounding.
    """

    weights: Tensor

    def __init__(self, side_px: int) -> None:
        super().__init__()
        position = torch.arange(2 * side_px)
        weights = torch.zeros(2 * side_px, side_px // 2)
        if side_px % 2 == 0:
            weights[position, position % side_px // 2] = 0.25
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Maps [N,C,s,s] to [N,C,s//2,s//2]."""
        count, channels, side_px, _ = features.shape
        if side_px % 2 or features.device.type != "cpu":
            return avg_pool2d(features, 2)
        pooled = features.reshape(-1, 2 * side_px) @ self.weights
        return pooled.reshape(count, channels, side_px // 2, side_px // 2)


class AdaptiveAveragePool(nn.Module):
    """Average pooling of maps of any side to ``side_px``, as `torch.nn.AdaptiveAvgPool2d`.

    On a GPU it is computed by two matrix products, because torch's gradient there is not deterministic,
    and raises an error in deterministic mode.
    """

    def __init__(self, side_px: int) -> None:
        super().__init__()
        self.side_px = side_px

    def forward(self, features: Tensor) -> Tensor:
        """Maps [N,C,H,W] to [N,C,side_px,side_px]."""
        if features.device.type == "cpu":
            return adaptive_avg_pool2d(features, self.side_px)
        rows, columns = (self._bins(side_px, features.device) for side_px in features.shape[2:])
        return rows @ (features @ columns.T)

    def _bins(self, source_px: int, device: torch.device) -> Tensor:
        """Return a matrix [side_px,source_px] whose rows average one bin; bins overlap by at most a pixel."""
        bins = torch.arange(self.side_px, device=device)[:, None]
        first, end = bins * source_px // self.side_px, -((bins + 1) * -source_px // self.side_px)
        pixels = torch.arange(source_px, device=device)
        return ((pixels >= first) & (pixels < end)).float() / (end - first)


def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that preserves the map's size at stride 1."""
    return nn.Conv2d(inputs, outputs, side, stride=stride, padding=side // 2, bias=False)


def initialise_by_fan_out(network: nn.Module) -> None:
    """Initialise every convolution from N(0, 2 / (k k outputs)) (evaluation.md 2.2)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
