"""One training step and one validation pass of the Minimax protocol (evaluation.md 1.7 to 1.9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from uvlp.blocks import cutmix
from uvlp.blocks.accuracy import correct_in_top


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
        self._velocities = [torch.zeros_like(parameter) for parameter in self._parameters]

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


@torch.inference_mode()
def correct_predictions(
    network: nn.Module, batches: Iterable[Tensor], labels: Tensor, transform: Callable[[Tensor], Tensor]
) -> Tensor:
    """bool [N] on the labels' device: which images of all ``batches`` the network gets right.

    Args:
        network: is put into evaluation mode, and back into training mode.
        batches: parts of the images, in order.
        labels: int64 [N].
        transform: from a part to the network's input.
    """
    network.eval()
    logits = torch.cat([network(transform(batch)) for batch in batches])
    network.train()
    return correct_in_top(logits, labels)
