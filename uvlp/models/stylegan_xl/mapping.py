"""The mapping network: random vectors and classes to latents (Sauer et al. 2022, section 3.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from uvlp.models.stylegan_xl.architecture import CLASSES, Architecture
from uvlp.models.stylegan_xl.filters import SLOPE

RATE = 0.01
"""The learning rate of its layers relative to that of others: stored weights are larger by its inverse."""
EPSILON = 1e-8


class Linear(nn.Module):
    """A layer of unit weights that are scaled when it is applied (equalised learning rate).

    Args:
        inputs, outputs: sizes.
        rate: see `RATE`.
        activated: whether a leaky ReLU, times the square root of 2, follows.
    """

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, *, activated: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self._rate, self._activated = rate, activated

    def forward(self, values: Tensor) -> Tensor:
        """Return [n, outputs] for [n, inputs]."""
        scale = self._rate / math.sqrt(self.weight.shape[1])
        made = values @ (self.weight * scale).T + self.bias * self._rate
        return leaky_relu(made, SLOPE) * math.sqrt(2) if self._activated else made


def of_unit_size(values: Tensor) -> Tensor:
    """Return rows with a mean square of 1."""
    return values * (values.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()


class Mapping(nn.Module):
    """Random vectors [n, z_dim] and classes [n] to latents [n, w_dim]; no truncation."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.embed = nn.Embedding(CLASSES, sizes.embed_dim)
        self.embed_proj = Linear(sizes.embed_dim, sizes.z_dim, activated=True)
        self._layers = []
        for index in range(sizes.mapping_layers):
            inputs = 2 * sizes.z_dim if index == 0 else sizes.w_dim
            layer = Linear(inputs, sizes.w_dim, RATE, activated=True)
            self.add_module(f"fc{index}", layer)
            self._layers.append(layer)

    def forward(self, random: Tensor, classes: Tensor) -> Tensor:
        """Return the latents."""
        embedded = self.embed_proj(self.embed(classes))
        values = torch.cat([of_unit_size(random), of_unit_size(embedded)], dim=1)
        for layer in self._layers:
            values = layer(values)
        return values
