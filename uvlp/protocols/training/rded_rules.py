"""Values that the RDED protocol derives from dataset, networks and IPC: batch sizes, learning rates, epochs.

Rules of evaluation.md 3.1, 3.4 and 3.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from uvlp.core.errors import UvlpError
from uvlp.recipes.evaluation import RdedSettings

TEMPERATURE = {"cutmix": 20.0, "mixup": 4.0}
SGD_LR = 0.1
ADAMW_LR = {
    **dict.fromkeys(("conv3", "conv4", "conv5", "conv6"), 0.001),
    **dict.fromkeys(("resnet18", "resnet18_modified", "resnet50", "resnet101", "resnet101_modified"), 0.001),
    "vgg11": 0.0005,
    "efficientnet_b0": 0.002,
    "mobilenet_v2": 0.0025,
    **dict.fromkeys(("alexnet", "vit_b_16", "swin_v2_t"), 0.0001),
}
BATCH = ((1, 10), (10, 50), (50, 100))
"""Images per class and batch size."""
DOUBLED = (100, 1000)
"""Numbers of classes for which the batch size is doubled."""
TINY_CLASSES, TINY_BATCH = 200, 100
CIFAR100_CONV3_BATCH, CIFAR100_CONV3_LR = 25, 0.002


@dataclass(frozen=True, slots=True)
class Rules:
    """Hyperparameters of a training: images per pass, initial learning rate, weight decay, temperature."""

    batch: int
    lr: float
    weight_decay: float
    temperature: float


def resized_px(size_px: int) -> int:
    """Return the shorter side before the centre crop of ``size_px``: 32, 64, 224 give 32, 72, 256.

    Never less than the crop, for which the reference adds a black border (only for sides below 42).
    """
    return max(size_px // 7 * 8, size_px)


def batch_size(ipc: int, classes: int) -> int:
    """Return the batch size; an IPC between the published 1, 10 and 50 uses that of the next lower one.

    The reference rejects any other IPC (quirk Q30).
    """
    assert ipc > 0, "at least one image per class"
    batch = max(size for least, size in BATCH if least <= ipc)
    batch *= 2 if classes in DOUBLED else 1
    return min(TINY_BATCH if classes == TINY_CLASSES else batch, ipc * classes)


def adamw_lr(student: str) -> float:
    """Return the published learning rate of a student.

    Raises:
        UvlpError: none is published.
    """
    if student not in ADAMW_LR:
        raise UvlpError(
            "no published learning rate for the student",
            got=student,
            allowed=", ".join(ADAMW_LR),
            fix="set rded.lr",
        )
    return ADAMW_LR[student]


def rules(settings: RdedSettings, student: str, teacher: str, classes: int, ipc: int) -> Rules:
    """Return the settings, with 0 replaced by the published value.

    Args:
        settings: the requested settings.
        student, teacher: architectures; conv3 taught by conv3 on CIFAR-100 has its own values.
        classes: number of classes.
        ipc: training images per class.

    Raises:
        UvlpError: no learning rate is published for the student.
    """
    special = (classes, settings.size_px, student, teacher) == (100, 32, "conv3", "conv3")
    temperature = settings.temperature or TEMPERATURE[settings.mix]
    batch = _images_per_pass(settings, special, classes, ipc)
    if settings.optimiser == "sgd":
        return Rules(batch, settings.lr or SGD_LR, settings.sgd_weight_decay, temperature)
    lr = settings.lr or (CIFAR100_CONV3_LR if special else adamw_lr(student))
    return Rules(batch, lr, settings.weight_decay, temperature)


def check_images(settings: RdedSettings, batch: int, images: int, smallest_px: int) -> None:
    """Refuse settings that do not fit the number and size of the training images.

    Args:
        batch: images per pass, from `Rules`.
        images: number of training images.
        smallest_px: shortest side of an image; 0 if unknown.

    Raises:
        UvlpError: more patches than pixels, or no update within an epoch.
    """
    if 0 < smallest_px < settings.factor:
        allowed = f"up to {smallest_px} for these images"
        raise UvlpError("patches per side (rded.factor)", got=settings.factor, allowed=allowed)
    passes = -(-images // batch)
    if passes < settings.accumulation:
        raise UvlpError(
            "passes per optimiser step (rded.accumulation)",
            got=settings.accumulation,
            allowed=f"up to {passes}, the batches of an epoch",
            fix="lower it: the student would never be updated",
        )


def _images_per_pass(settings: RdedSettings, special: bool, classes: int, ipc: int) -> int:
    """Return the batch size divided by the accumulation; as in the reference, ``special`` is not divided."""
    if special and not settings.batch:
        return CIFAR100_CONV3_BATCH
    batch = min(settings.batch or batch_size(ipc, classes), ipc * classes)
    return max(1, batch // settings.accumulation)


SCHEDULES = ("half-cosine", "linear")


def learning_rate(epoch: int, epochs: int, lr: float, schedule: str) -> float:
    """Return the learning rate of the 1-based ``epoch`` of ``epochs``.

    "half-cosine" is the first half of a cosine decay, so it ends near ``lr`` / 2 (quirk Q24); "linear"
    ends near 0.
    """
    assert schedule in SCHEDULES, schedule
    done = (epoch - 1) / epochs
    return lr * (1 - done) if schedule == "linear" else lr * 0.5 * (1 + math.cos(math.pi * done / 2))


def validated_epochs(epochs: int, period: int, start: float) -> tuple[int, ...]:
    """Return the 1-based epochs after which to validate: every ``period``-th past ``start``, and the last.

    ``start`` is a share of the epochs. With fewer than six epochs the reference never validates; here the
    last epoch is always validated.
    """
    late = (epoch for epoch in range(period, epochs, period) if epoch - 1 > start * epochs)
    return (*late, epochs)
