"""Epochs, learning rates, batch sizes and validation epochs of the Minimax protocol (evaluation.md 1.8)."""

from __future__ import annotations

from dataclasses import dataclass

EPOCHS = ((1, 3000), (10, 2000), (50, 1500), (200, 1000), (500, 500))
EPOCHS_ABOVE = 300
DECAY = 0.2
MANY_CLASSES = 100
MANY_LR, MANY_WEIGHT_DECAY, MANY_BATCH = 0.1, 1e-4, 128


@dataclass(frozen=True, slots=True)
class Optimisation:
    """Hyperparameters of SGD: initial learning rate, weight decay and batch size."""

    lr: float
    weight_decay: float
    batch: int


def epochs_by_ipc(ipc: int, classes: int) -> int:
    """Return the epochs on a distilled set of ``ipc`` images per class; fewer for exactly 100 classes."""
    assert ipc > 0, "the rule holds for distilled sets"
    epochs = next((epochs for largest, epochs in EPOCHS if ipc <= largest), EPOCHS_ABOVE)
    return epochs * 2 // 3 // 100 * 100 if classes == 100 else epochs


def optimisation(classes: int, lr: float, weight_decay: float, batch: int) -> Optimisation:
    """Return the given values; more than 100 classes replace them (the batch size only upwards)."""
    if classes <= MANY_CLASSES:
        return Optimisation(lr, weight_decay, batch)
    return Optimisation(MANY_LR, MANY_WEIGHT_DECAY, max(MANY_BATCH, batch))


def last_batch(images: int, batch: int) -> int:
    """Return the size of an epoch's last batch, which is the smallest; for any protocol."""
    return (images - 1) % batch + 1


def milestones(epochs: int) -> tuple[int, int]:
    """Return the last 1-based epochs before each decay of the learning rate: two thirds, five sixths."""
    return 2 * epochs // 3, 5 * epochs // 6


def learning_rate(epoch: int, epochs: int, lr: float) -> float:
    """Return the learning rate of the 1-based ``epoch`` of ``epochs``."""
    return lr * DECAY ** sum(milestone < epoch for milestone in milestones(epochs))


def validated_epochs(epochs: int, validations: int) -> tuple[int, ...]:
    """Return the 1-based epochs after which to validate: ``validations``, evenly spaced, including the last.

    With 100 validations the published period ``epochs // 100`` if 100 divides the epochs; every epoch if
    there are fewer epochs than validations.
    """
    return tuple(sorted({-(-epochs * number // validations) for number in range(1, validations + 1)}))
