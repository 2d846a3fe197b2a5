"""The training loop that the three small models share: AdamW under a one-cycle learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch

from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress

WARM_UP = 0.25
START = 0.04
LARGEST_GRADIENT = 1.0


def one_cycle(
    what: str,
    parameters: Iterable[torch.nn.Parameter],
    loss_of_step: Callable[[], torch.Tensor],
    *,
    steps: int,
    lr: float,
    progress: Progress,
    after_step: Callable[[int], None] | None = None,
) -> None:
    """Minimise ``loss_of_step()``, which draws its own batch, for ``steps`` steps.

    Args:
        what: the settings group of the model, e.g. ``"diffuser"``; it stands in progress and errors.
        after_step: called with the number of the finished step, from 1.

    Raises:
        UvlpError: the loss is not a finite number; model and step are named.
    """
    trained = list(parameters)
    optimiser = torch.optim.AdamW(trained, lr=lr, fused=True)
    for step in progress.track(range(1, steps + 1), f"{what} steps"):
        for group in optimiser.param_groups:
            group["lr"] = lr * one_cycle_share(step, steps)
        loss = loss_of_step()
        if not math.isfinite(loss.item()):
            raise UvlpError(
                f"the loss of the {what} is not a number: step {step} of {steps}",
                do=f"lower its learning rate: --set {what}.lr={lr / 4:g}",
            )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, LARGEST_GRADIENT)
        optimiser.step()
        if after_step is not None:
            after_step(step)


def one_cycle_share(step: int, steps: int) -> float:
    """Share of the peak rate at ``step`` of 1..``steps``: cosine up for a quarter, cosine down to zero."""
    position = (step - 0.5) / steps
    if position < WARM_UP:
        return START + (1 - START) * (1 - math.cos(math.pi * position / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (position - WARM_UP) / (1 - WARM_UP))) / 2
