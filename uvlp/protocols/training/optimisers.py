"""SGD, AdamW, and an optimiser for several parameter groups (evaluation.md 1.8 and 3.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor

BETA1, BETA2 = 0.9, 0.999
EPSILON = 1e-8


class Optimiser(Protocol):
    """What a training loop uses: a learning rate to set, `clear` before and `step` after the gradients."""

    lr: float

    def clear(self) -> None: ...

    def step(self) -> None: ...


class _Fused:
    """Parameters with one learning rate, updated by one of torch's fused kernels.

    torch.optim calls the same kernels, but constructing one of its optimisers imports torch's compiler: three
    seconds per process, a fifth of a repeat on the digits.

    Attributes:
        lr: learning rate of the next step.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        self.lr, self._weight_decay = lr, weight_decay
        self._parameters = list(parameters)

    def clear(self) -> None:
        """Discard the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def _gradients(self) -> list[Tensor]:
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        assert len(gradients) == len(self._parameters), "every parameter has a gradient"
        return gradients


class Sgd(_Fused):
    """SGD with momentum, without Nesterov or dampening; weight decay on every parameter.

    Attributes:
        velocities: one per parameter; none without momentum.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(parameters, lr, weight_decay)
        self._momentum = momentum
        # Without momentum the kernel uses no velocities, and on a GPU it refuses them.
        self.velocities = [torch.zeros_like(parameter) for parameter in self._parameters if momentum]

    @torch.no_grad()
    def step(self) -> None:
        """v <- momentum v + g + decay p; p <- p - lr v."""
        torch._fused_sgd_(
            self._parameters,
            self._gradients(),
            self.velocities,
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,  # the velocities are initialised to zero
        )


class AdamW(_Fused):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        weight_decay: float,
        betas: tuple[float, float] = (BETA1, BETA2),
    ) -> None:
        super().__init__(parameters, lr, weight_decay)
        self._beta1, self._beta2 = betas
        self._means = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._steps = [torch.zeros((), device=parameter.device) for parameter in self._parameters]

    @torch.no_grad()
    def step(self) -> None:
        """p <- p - lr decay p, then Adam's step with bias correction."""
        torch._foreach_add_(self._steps, 1)
        torch._fused_adamw_(
            self._parameters,
            self._gradients(),
            self._means,
            self._squares,
            [],
            self._steps,
            lr=self.lr,
            beta1=self._beta1,
            beta2=self._beta2,
            weight_decay=self._weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )


class Grouped:
    """Several optimisers, one per parameter group, used as one."""

    def __init__(self, *groups: Optimiser) -> None:
        self._groups = groups

    @property
    def lr(self) -> float:
        """Learning rate of the next step, the same for all groups."""
        return self._groups[0].lr

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self._groups:
            group.lr = value

    def clear(self) -> None:
        """Discard the gradients."""
        for group in self._groups:
            group.clear()

    def step(self) -> None:
        """Take one step of every group."""
        for group in self._groups:
            group.step()
