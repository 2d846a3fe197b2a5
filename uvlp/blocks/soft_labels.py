"""A student that learns a teacher's soft labels: loss, weight decay and step (evaluation.md 3.4).

The reference runs the student twice per step in training mode, once for its progress log alone, so
that batch statistics move twice (quirk Q23). After CutMix, which mixes in place, both passes see the
same images; one pass with momentum 1 - (1 - m)^2 moves them as far. After mixup the first pass sees
the images before the mix, so it is done.

Legend: T temperature; q, p softened predictions of teacher and student; m batch-norm momentum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from uvlp.blocks import cutmix, mixup
from uvlp.blocks.optimisers import Optimiser


def loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Batch mean of sum q (ln q - ln p) for logits [n,C]; no factor T^2 (quirk Q24)."""
    log_p, log_q = (torch.log_softmax(logits / temperature, 1) for logits in (student, teacher))
    return kl_div(log_p, log_q, reduction="batchmean", log_target=True)


def parameter_groups(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters with weight decay (weights with more than one dimension) and those without."""
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (decayed if parameter.ndim > 1 and "weight" in name else others).append(parameter)
    return decayed, others


class Distiller:
    """A student in training, its teacher and its optimiser.

    Args:
        student: is put into training mode; with ``twice`` its batch-norm momentum changes.
        teacher: in evaluation mode.
        optimiser: holds the student's parameters.
        temperature: T of the loss.
        accumulation: passes per step of the optimiser.
        twice: let every pass count twice for batch statistics: for CutMix.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        optimiser: Optimiser,
        *,
        temperature: float,
        accumulation: int,
        twice: bool,
    ) -> None:
        assert not teacher.training, "a teacher does not learn"
        self.student, self.teacher, self.optimiser = student.train(), teacher, optimiser
        self._temperature, self._accumulation = temperature, accumulation
        self._counters = _move_twice(student) if twice else []

    def step(self, number: int, images: Tensor, mix: cutmix.Mix | mixup.Blend) -> Tensor:
        """The ``number``-th pass of an epoch, from 0; gradients left over from an epoch are dropped.

        ``images`` [n,3,S,S] may be changed in place. Returns the loss, detached, on the device.
        """
        if number % self._accumulation == 0:
            self.optimiser.clear()
        mixed = self._mixed(images, mix)
        with torch.no_grad():
            target = self.teacher(mixed)
        value = loss(self.student(mixed), target, self._temperature)
        (value / self._accumulation).backward()
        if number % self._accumulation == self._accumulation - 1:
            self.optimiser.step()
        if self._counters:
            torch._foreach_add_(self._counters, 1)
        return value.detach()

    def _mixed(self, images: Tensor, mix: cutmix.Mix | mixup.Blend) -> Tensor:
        if isinstance(mix, cutmix.Mix):
            return cutmix.mix_(images, mix)
        with torch.no_grad():
            self.student(images)
        return mixup.blended(images, mix)


def _move_twice(network: nn.Module) -> list[Tensor]:
    """Let batch-norm layers move as two passes would; their counters, to be raised once more per pass."""
    counters = []
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            assert layer.momentum is not None and layer.num_batches_tracked is not None
            layer.momentum = 1 - (1 - layer.momentum) ** 2
            counters.append(layer.num_batches_tracked)
    return counters
