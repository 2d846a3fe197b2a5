"""One run of the RDED protocol: a student learns a teacher's soft labels (evaluation.md 3.3 to 3.5).

The images stay on the device at their original size and in their dtype; nothing is copied back within an
epoch.

The reference runs the student twice per step in training mode, once only for its progress log, so
the running statistics of batch normalisation are updated twice (quirk Q23). With CutMix, which mixes in
place, both passes see the same images; one pass with momentum 1 - (1 - m)^2 gives the same update. With
mixup the first pass sees the images before mixing, so both passes are run.

Legend: T temperature; q, p softened predictions of teacher and student; m batch-norm momentum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from uvlp.core.progress import Progress
from uvlp.core.seeds import numpy_generator
from uvlp.protocols.training import (
    augment,
    loop,
    mixing,
    patches,
    rded_rules,
)
from uvlp.protocols.training.images import Images, Prepared
from uvlp.protocols.training.loop import Record
from uvlp.protocols.training.optimisers import AdamW, Grouped, Optimiser, Sgd
from uvlp.protocols.training.patches import SizedImages
from uvlp.protocols.training.rded_rules import Rules, check_images
from uvlp.recipes.evaluation import RdedSettings


def train_and_validate(
    student: nn.Module,
    teacher: nn.Module,
    name: str,
    train: Images,
    validation: Prepared,
    *,
    rules: Rules,
    settings: RdedSettings,
    seed: int,
    device: str,
    progress: Progress,
) -> Record:
    """Train ``student`` with ``teacher`` in evaluation mode, both on ``device``.

    ``name`` is the student's name in errors.

    Raises:
        UvlpError: more patches than pixels, fewer batches than one step accumulates, or a loss that is
            not finite, detected at the next validation pass.
    """
    trainer = _RdedTrainer(student, teacher, train, rules, settings, seed, device)
    validated = rded_rules.validated_epochs(
        settings.epochs, settings.validation_period, settings.validation_start
    )
    return loop.run_epochs(
        trainer.epoch,
        settings.epochs,
        validated,
        student,
        validation,
        name=name,
        section="rded",
        device=device,
        progress=progress,
    )


class _RdedTrainer:
    """Student, teacher, images and the random generators for order, augmentation and mixing."""

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        train: Images,
        rules: Rules,
        settings: RdedSettings,
        seed: int,
        device: str,
    ) -> None:
        self.rules, self.settings, self.device = rules, settings, device
        self.images = SizedImages(train.pixels, device)
        smallest_px = int(min(self.images.height_px.min(), self.images.width_px.min()))
        check_images(settings, rules.batch, len(self.images), smallest_px)
        self.optimiser = _optimiser(student, rules, settings)
        self.distiller = Distiller(
            student,
            teacher,
            self.optimiser,
            temperature=rules.temperature,
            accumulation=settings.accumulation,
            twice=settings.mix == "cutmix",
        )
        self.order, self.augmentation, self.mixing = (
            numpy_generator(seed, stream) for stream in ("order", "augment", settings.mix)
        )

    def epoch(self, epoch: int) -> Tensor:
        """Train on every image once, in a new order (the last batch may be smaller); return the losses."""
        settings, batch = self.settings, self.rules.batch
        self.optimiser.lr = rded_rules.learning_rate(epoch, settings.epochs, self.rules.lr, settings.schedule)
        order = self.order.permutation(len(self.images))
        draws = patches.draw(
            self.augmentation,
            self.images.height_px[order],
            self.images.width_px[order],
            factor=settings.factor,
            flip=settings.flip,
        )
        chunk = augment.images_per_call(batch, settings.size_px, self.device)
        losses: list[Tensor] = []
        for start in range(0, len(order), chunk):
            part = slice(start, start + chunk)
            images = patches.augment(
                self.images, order[part], draws.select(part), settings.size_px, settings.factor
            )
            for mini in images.split(batch):
                losses.append(self.distiller.step(len(losses), mini, self._mix(len(mini))))
        return torch.stack(losses)

    def _mix(self, count: int) -> mixing.Mix | mixing.Blend:
        if self.settings.mix == "mixup":
            return mixing.draw_mixup(self.mixing, count, self.settings.mixup_beta, self.device)
        mix = mixing.draw_cutmix(self.mixing, count, self.settings.size_px, 1.0, self.device)
        assert mix is not None, "every batch is mixed"
        return mix


def _optimiser(student: nn.Module, rules: Rules, settings: RdedSettings) -> Grouped:
    decayed, others = parameter_groups(student)
    groups = ((decayed, rules.weight_decay), (others, 0.0))
    if settings.optimiser == "sgd":
        return Grouped(*(Sgd(part, rules.lr, settings.momentum, decay) for part, decay in groups))
    return Grouped(*(AdamW(part, rules.lr, decay) for part, decay in groups))


def loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the batch mean of sum q (ln q - ln p) for logits [n,C]; no factor T^2 (quirk Q24)."""
    log_p, log_q = (torch.log_softmax(logits / temperature, 1) for logits in (student, teacher))
    return kl_div(log_p, log_q, reduction="batchmean", log_target=True)


def parameter_groups(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the parameters with weight decay (weights with more than one dimension) and the others."""
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (decayed if parameter.ndim > 1 and "weight" in name else others).append(parameter)
    return decayed, others


class Distiller:
    """Trains a student on its teacher's predictions.

    Args:
        student: switched to training mode; with ``twice`` its batch-norm momentum is changed.
        teacher: in evaluation mode.
        optimiser: of the student's parameters.
        temperature: T of the loss.
        accumulation: passes per optimiser step.
        twice: make each pass update the running statistics like two passes (for CutMix).
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

    def step(self, number: int, images: Tensor, mix: mixing.Mix | mixing.Blend) -> Tensor:
        """Run the ``number``-th pass of an epoch, from 0; the first discards gradients left from before.

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

    def _mixed(self, images: Tensor, mix: mixing.Mix | mixing.Blend) -> Tensor:
        if isinstance(mix, mixing.Mix):
            return mixing.mix_(images, mix)
        with torch.no_grad():
            self.student(images)
        return mixing.blended(images, mix)


def _move_twice(network: nn.Module) -> list[Tensor]:
    """Set the momentum of batch-norm layers to that of two passes; return their pass counters."""
    counters = []
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            assert layer.momentum is not None and layer.num_batches_tracked is not None
            layer.momentum = 1 - (1 - layer.momentum) ** 2
            counters.append(layer.num_batches_tracked)
    return counters
