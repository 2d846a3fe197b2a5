"""One repeat of the RDED protocol: train a student on a teacher's labels (evaluation.md 3.3 to 3.5).

The images stay on the device as 8-bit tensors at their own size; nothing is read back within an epoch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uvlp.blocks import augment, cutmix, mixup, rded_augment, rded_schedule
from uvlp.blocks import epochs as frame
from uvlp.blocks.image_sets import Images, Prepared
from uvlp.blocks.optimisers import AdamW, Grouped, Sgd
from uvlp.blocks.outcome import Record
from uvlp.blocks.rded_settings import Rules, check_images
from uvlp.blocks.sized_images import SizedImages
from uvlp.blocks.soft_labels import Distiller, parameter_groups
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import numpy_generator
from uvlp.recipes.schema import RdedSettings


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

    ``name`` of the student stands in errors.

    Raises:
        UvlpError: images smaller than the patches, fewer batches than a step takes, or a loss that is
            no longer a number, noticed at the next validation pass.
    """
    trainer = _Trainer(student, teacher, train, rules, settings, seed, device)
    validated = rded_schedule.validated_epochs(
        settings.epochs, settings.validation_period, settings.validation_start
    )
    return frame.train_and_validate(
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


class _Trainer:
    """A student with its teacher, its images and the streams that order, augment and mix them."""

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
        """Every image once, in a new order, the last batch may be smaller; the loss of every pass."""
        settings, batch = self.settings, self.rules.batch
        self.optimiser.lr = rded_schedule.learning_rate(
            epoch, settings.epochs, self.rules.lr, settings.schedule
        )
        order = self.order.permutation(len(self.images))
        draws = rded_augment.draw(
            self.augmentation,
            self.images.height_px[order],
            self.images.width_px[order],
            factor=settings.factor,
            flip=settings.flip,
        )
        together = augment.together(batch, settings.size_px, self.device)
        losses: list[Tensor] = []
        for start in range(0, len(order), together):
            part = slice(start, start + together)
            images = rded_augment.augment(
                self.images, order[part], draws.select(part), settings.size_px, settings.factor
            )
            for mini in images.split(batch):
                losses.append(self._step(len(losses), mini))
        return torch.stack(losses)

    def _step(self, number: int, images: Tensor) -> Tensor:
        try:
            return self.distiller.step(number, images, self._mix(len(images)))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UvlpError(
                "a batch of one image is too small for the student's last maps",
                do="choose another batch (rded.batch) or larger images (rded.size_px)",
            ) from error

    def _mix(self, count: int) -> cutmix.Mix | mixup.Blend:
        if self.settings.mix == "mixup":
            return mixup.draw(self.mixing, count, self.settings.mixup_beta, self.device)
        mix = cutmix.draw(self.mixing, count, self.settings.size_px, 1.0, self.device)
        assert mix is not None, "every batch is mixed"
        return mix


def _optimiser(student: nn.Module, rules: Rules, settings: RdedSettings) -> Grouped:
    decayed, others = parameter_groups(student)
    groups = ((decayed, rules.weight_decay), (others, 0.0))
    if settings.optimiser == "sgd":
        return Grouped(*(Sgd(part, rules.lr, settings.momentum, decay) for part, decay in groups))
    return Grouped(*(AdamW(part, rules.lr, decay) for part, decay in groups))
