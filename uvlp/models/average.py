"""A running average of a model's weights, which is saved instead of the last ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class Average:
    """Exponential moving average of parameters, warmed up: step n decays by at most (1 + n) / (10 + n)."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter], decay: float) -> None:
        self._parameters: list[torch.Tensor] = list(parameters)
        self._decay = decay
        self.weights = [parameter.detach().clone() for parameter in self._parameters]

    def update(self, step: int) -> None:
        """Take in the parameters after ``step``, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.weights, [parameter.detach() for parameter in self._parameters], 1 - decay)

    @torch.no_grad()
    def use(self) -> None:
        """Give the parameters the averaged values."""
        torch._foreach_copy_(self._parameters, self.weights)
