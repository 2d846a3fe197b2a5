"""One training step of the Minimax protocol (evaluation.md 1.7 and 1.8), and what to think of its loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uvlp.blocks import cutmix
from uvlp.core.errors import UvlpError


class Sgd:
    """SGD with momentum, without Nesterov and dampening; weight decay on every parameter.

    torch.optim.SGD computes the same, but making one imports torch's compiler: three seconds in
    every process, a fifth of a repeat on the digits. The kernel is the one that it calls.

    Attributes:
        lr: learning rate of the next step.
    """

    def __init__(self, network: nn.Module, lr: float, momentum: float, weight_decay: float) -> None:
        self.lr, self._momentum, self._weight_decay = lr, momentum, weight_decay
        self._parameters: list[Tensor] = list(network.parameters())
        # Without momentum the kernel takes no velocities, and on a GPU refuses them.
        moving = self._parameters if momentum else []
        self._velocities = [torch.zeros_like(parameter) for parameter in moving]

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """v <- momentum v + g + decay p; p <- p - lr v."""
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        assert len(gradients) == len(self._parameters), "every parameter takes part"
        torch._fused_sgd_(
            self._parameters,
            gradients,
            self._velocities,
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,  # the velocities start at zero
        )


def train_step(
    network: nn.Module,
    optimiser: Sgd,
    images: Tensor,
    labels: Tensor,
    mix: cutmix.Mix | None,
) -> tuple[Tensor, Tensor]:
    """One step on a batch; ``images`` [n,3,S,S] are mixed in place.

    Returns:
        Loss (scalar) and logits [n,C], both detached and still on the device.
    """
    if mix is not None:
        cutmix.mix_(images, mix)
    logits = network(images)
    loss = cutmix.loss(logits, labels, mix)
    optimiser.clear()
    loss.backward()
    optimiser.step()
    return loss.detach(), logits.detach()


def check_finite(losses: Sequence[Tensor], name: str, last_epoch: int, do: str) -> None:
    """Read the losses of the epochs up to ``last_epoch``, one tensor [steps] each.

    Raises:
        UvlpError: one of them is not a number; network ``name``, epoch and step are named.
    """
    finite = torch.stack(list(losses)).isfinite()
    if bool(finite.all()):
        return
    row, step = torch.nonzero(~finite)[0].tolist()
    epoch = last_epoch - len(losses) + row + 1
    raise UvlpError(f"loss is not a number: network {name}, epoch {epoch}, step {step + 1}", do=do)
