"""The frame of a repeat under any protocol: epochs, and validation passes after some of them."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from uvlp.blocks.image_sets import Prepared
from uvlp.blocks.outcome import Record, predict
from uvlp.blocks.training import check_finite
from uvlp.core.progress import Progress


def train_and_validate(
    train: Callable[[int], Tensor],
    epochs: int,
    validated: Collection[int],
    network: nn.Module,
    validation: Prepared,
    *,
    name: str,
    section: str,
    device: str,
    progress: Progress,
    at_best: Callable[[], None] | None = None,
) -> Record:
    """Call ``train`` with every 1-based epoch, and validate ``network`` after those in ``validated``.

    Args:
        train: trains for one epoch; the loss of every step, [steps], on the device.
        epochs: how many.
        validated: 1-based epochs, the last one among them.
        network: what is trained, on ``device``.
        validation: what it is validated on.
        name: of the network, for errors.
        section: of the settings that hold the learning rate, for errors.
        device: "cpu" or "cuda".
        progress: told of every epoch.
        at_best: called after each validation pass that is better than all before.

    Raises:
        UvlpError: the loss is no longer a number, noticed at the next validation pass.
    """
    pixels = validation.pixels.to(device)
    labels = torch.from_numpy(validation.labels).to(device)
    record, losses = Record(), []
    for epoch in progress.track(range(1, epochs + 1)):
        losses.append(train(epoch))
        if epoch in validated:
            # Looked at here and not in every epoch: reading a number back makes a GPU wait.
            check_finite(losses, name, epoch, f"lower the learning rate ({section}.lr)")
            losses.clear()
            if record.add(epoch, predict(network, pixels), labels) and at_best is not None:
                at_best()
    return record
