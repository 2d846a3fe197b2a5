"""Check that every loss is finite, without waiting for a GPU at every step."""

from __future__ import annotations

import torch

from uvlp.core.errors import UvlpError

CHECK_EVERY = {"cpu": 1, "cuda": 50}
"""Steps between two checks of the loss: each check waits for the GPU."""


class LossCheck:
    """The losses of steps that were not checked yet.

    Args:
        what: what is trained or optimised, for errors, e.g. ``"the diffuser"``.
        steps: total number of steps.
        first: the first step, counted from 1.
        device: of the losses.
        fix: how to fix a loss that is not finite.
    """

    def __init__(self, what: str, steps: int, first: int, device: str, fix: str) -> None:
        self._what, self._steps, self._checked, self._fix = what, steps, first - 1, fix
        self._every = CHECK_EVERY[device]
        self._finite = torch.ones((), dtype=torch.bool, device=device)

    def add(self, loss: torch.Tensor, step: int) -> None:
        """Record the loss of ``step``; raise UvlpError at a check if one since the last was not finite."""
        self._finite = self._finite & loss.detach().isfinite()
        if step - self._checked >= self._every or step == self._steps:
            self.check(step)

    def check(self, step: int) -> None:
        """Check the losses up to ``step``.

        Raises:
            UvlpError: one was not finite.
        """
        first = self._checked + 1
        where = f"step {step}" if step == first else f"one of the steps {first} to {step}"
        self._checked = step
        if not self._finite.item():
            what = f"the loss of {self._what} is not finite: {where} of {self._steps}"
            raise UvlpError(what, fix=self._fix)
