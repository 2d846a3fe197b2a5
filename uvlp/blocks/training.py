"""One training step of the Minimax protocol (evaluation.md 1.7 and 1.8), and what to think of its loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uvlp.blocks import cutmix
from uvlp.blocks.optimisers import Optimiser
from uvlp.core.errors import UvlpError


def train_step(
    network: nn.Module,
    optimiser: Optimiser,
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
