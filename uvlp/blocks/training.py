"""One training step and one validation pass of the Minimax protocol (evaluation.md 1.7 to 1.9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from uvlp.blocks import cutmix
from uvlp.blocks.accuracy import correct_in_top


def sgd(network: nn.Module, lr: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """SGD without Nesterov and dampening; weight decay on every parameter, norms and biases too."""
    return torch.optim.SGD(
        network.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay, fused=True
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimiser.param_groups:
        group["lr"] = lr


def train_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
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
    optimiser.zero_grad(set_to_none=True)
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
