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
    """What SGD starts from: learning rate, weight decay and images per step."""

    lr: float
    weight_decay: float
    batch: int


def epochs_by_ipc(ipc: int, classes: int) -> int:
    """Epochs on a distilled set of ``ipc`` images per class; fewer for exactly 100 classes."""
    assert ipc > 0, "the rule holds for distilled sets"
    epochs = next((epochs for largest, epochs in EPOCHS if ipc <= largest), EPOCHS_ABOVE)
    return epochs * 2 // 3 // 100 * 100 if classes == 100 else epochs


def optimisation(classes: int, lr: float, weight_decay: float, batch: int) -> Optimisation:
    """The given values, which more than 100 classes replace (the batch only upwards)."""
    if classes <= MANY_CLASSES:
        return Optimisation(lr, weight_decay, batch)
    return Optimisation(MANY_LR, MANY_WEIGHT_DECAY, max(MANY_BATCH, batch))


def last_batch(images: int, batch: int) -> int:
    """Images of an epoch's last batch, which is the smallest; under any protocol."""
    return (images - 1) % batch + 1


def milestones(epochs: int) -> tuple[int, int]:
    """Last 1-based epochs before the learning rate falls: two thirds and five sixths."""
    return 2 * epochs // 3, 5 * epochs // 6


def learning_rate(epoch: int, epochs: int, lr: float) -> float:
    """Learning rate of the 1-based ``epoch`` of ``epochs``."""
    return lr * DECAY ** sum(milestone < epoch for milestone in milestones(epochs))


def validated_epochs(epochs: int, validations: int) -> tuple[int, ...]:
    """1-based epochs after which to validate: ``validations`` of them, evenly spaced, the last one last.

    The published ``epochs // 100`` period where 100 divides the epochs; every epoch if there are fewer.
    """
    return tuple(sorted({-(-epochs * number // validations) for number in range(1, validations + 1)}))
