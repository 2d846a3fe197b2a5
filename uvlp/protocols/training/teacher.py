"""Teachers of the RDED protocol: train one from scratch, measure it on real images, save and load it.

Training follows torchvision's reference recipe for classification, with which the published teachers were
trained (evaluation.md 3.2): random resized crop and flip, SGD, a tenth of the learning rate after
each third of the epochs. Crops are taken from images that already have the network's input size.

A teacher whose outputs are in another order than the dataset's classes gives plausible soft labels of the
wrong classes (evaluation.md Q32); its confusion matrix on real images reveals the order of its training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from uvlp.artifacts import teachers
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, numpy_generator
from uvlp.core.wording import first_few
from uvlp.models.device import arithmetic, send
from uvlp.protocols.training import augment, rded_networks
from uvlp.protocols.training.images import Prepared
from uvlp.protocols.training.loop import check_finite, predict, train_step
from uvlp.protocols.training.optimisers import Sgd
from uvlp.recipes.evaluation import TeacherSettings
from uvlp.recipes.setting import check_limits

REVISION = 1
DECAY = 0.1
LISTED_CLASSES = 100  # up to this many, an error lists the complete order of the outputs


def check_settings(settings: TeacherSettings) -> None:
    """Raise UvlpError for the first setting that no training can use."""
    check_limits(settings, "teacher")


def train(
    train_images: Prepared,
    architecture: str,
    *,
    classes: int,
    settings: TeacherSettings,
    flip: float,
    seed: int,
    device: str,
    progress: Progress,
) -> nn.Module:
    """Train a network on hard labels and return it in evaluation mode, on ``device``.

    Equal seeds give equal weights.

    Args:
        train_images: uint8 [N,3,S,S] with labels.
        architecture: one of `rded_networks.ARCHITECTURES`.
        classes: number of classes.
        settings: schedule and augmentation.
        flip: probability of the horizontal flip.
        seed: initialisation, order, augmentation and dropout derive from it.
        device: "cpu" or "cuda".
        progress: reports every epoch.

    Raises:
        UvlpError: impossible settings, a single image, images that do not fit the architecture, or a loss
            that is not finite.
    """
    check_settings(settings)
    size_px = train_images.pixels.shape[2]
    network = rded_networks.seeded(
        architecture, classes=classes, size_px=size_px, seed=derive(seed, "teacher", "init")
    ).to(device)
    optimiser = Sgd(network.parameters(), settings.lr, settings.momentum, settings.weight_decay)
    pixels = train_images.pixels.to(device)
    labels = torch.from_numpy(train_images.labels).to(device)
    order, augmentation = (numpy_generator(seed, "teacher", stream) for stream in ("order", "augment"))
    gpus = [] if device == "cpu" else [torch.cuda.current_device()]
    # Dropout and stochastic depth use torch's global generator.
    with torch.random.fork_rng(devices=gpus), arithmetic(device, "tf32", deterministic=True):
        torch.manual_seed(derive(seed, "teacher", "dropout"))
        network.train()
        for epoch in progress.track(range(1, settings.epochs + 1), "epochs"):
            optimiser.lr = learning_rate(epoch, settings.epochs, settings.lr)
            rows = send(order.permutation(len(pixels)), device)
            losses = []
            for batch in batches(rows, settings.batch):
                images = _augmented(pixels[batch], augmentation, settings.crop_scale, flip)
                losses.append(train_step(network, optimiser, images, labels[batch], None)[0])
            fix = f"lower the learning rate: --set teacher.lr={settings.lr / 4:g}"
            check_finite([torch.stack(losses)], f"{architecture} (teacher)", epoch, fix)
            progress.point(epoch, settings.epochs, loss=torch.stack(losses).mean(), lr=optimiser.lr)
    return network.eval()


def learning_rate(epoch: int, epochs: int, lr: float) -> float:
    """Return the learning rate of the 1-based ``epoch``: a tenth after each third (30 and 60 of 90)."""
    return lr * DECAY ** ((epoch - 1) * 3 // epochs)


def batches(rows: Tensor, size: int) -> list[Tensor]:
    """Split ``rows`` into batches of ``size``; a single remaining row joins the last batch.

    Batch normalisation needs the variance of more than one image.

    Raises:
        UvlpError: there is only one row.
    """
    if len(rows) < 2:
        raise UvlpError("training images of a teacher", got=len(rows), allowed="at least 2", fix="add images")
    parts = list(rows.split(size))
    if len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _augmented(pixels: Tensor, generator: numpy.random.Generator, crop_scale: float, flip: float) -> Tensor:
    """Crop, resize, flip and normalise uint8 ``pixels`` at random: float32 [n,3,S,S]."""
    count, size_px = len(pixels), pixels.shape[2]
    draws = augment.draw(
        generator, count, size_px, crop_scale=crop_scale, flip=flip, jitter=0.0, lighting=0.0
    )
    return augment.augment(pixels / 255, augment.prepare(draws, size_px, pixels.device.type))


def measure(
    network: nn.Module, validation: Prepared, names: Sequence[str], settings: TeacherSettings, device: str
) -> tuple[float, tuple[float | None, ...]]:
    """Return a teacher's accuracy on all validation images and per class, percent (evaluation.md Q32).

    Args:
        network: in evaluation mode, before and after.
        validation: real images with labels below ``len(names)``.
        names: of the classes, for errors.
        settings: the published accuracy, if any, and its tolerance.
        device: "cpu" or "cuda".

    Raises:
        UvlpError: outputs in another order than the classes, or an accuracy near chance or too far from
            the published one.
    """
    labels = validation.labels
    with arithmetic(device, "tf32", deterministic=True):
        logits = predict(network.to(device), validation.pixels.to(device))
        predictions = logits.argmax(1).cpu().numpy()
    network.eval()
    accuracy_pct = 100 * float((predictions == labels).mean())
    reordering = find_reordering(labels, predictions, len(names))
    if reordering is not None:
        raise _wrong_order(reordering, accuracy_pct, names)
    _check_accuracy(accuracy_pct, len(names), len(labels), settings)
    counts = confusion(labels, predictions, len(names))
    return accuracy_pct, per_class_pct(counts)


def _wrong_order(better: Reordering, accuracy_pct: float, names: Sequence[str]) -> UvlpError:
    swaps = [
        f"output {better.order[label]} predicts class {label} ({names[label]!r})" for label in better.moved
    ]
    rows = f" to {better.order.tolist()}" if len(names) <= LISTED_CLASSES else ""
    return UvlpError(
        f"the teacher's outputs are in another order than the dataset's classes: {first_few(swaps)}",
        got=f"accuracy {accuracy_pct:.1f} %, {better.accuracy_pct:.1f} % if reordered",
        allowed="output i predicts class i of the dataset",
        fix=f"reorder the rows of the checkpoint's last layer (weight and bias){rows}, "
        "or rename the class folders",
    )


def _check_accuracy(accuracy_pct: float, classes: int, images: int, settings: TeacherSettings) -> None:
    limit_pct = near_chance_pct(classes, images)
    if accuracy_pct <= limit_pct:
        raise UvlpError(
            f"the teacher is near chance on {images} real test images of {classes} classes",
            got=f"{accuracy_pct:.1f} %",
            allowed=f"more than {limit_pct:.1f} %",
            fix="train it longer (teacher.epochs), or choose the checkpoint of this dataset and image size",
        )
    published_pct, tolerance_pct = settings.published_pct, settings.tolerance_pct
    if published_pct and abs(accuracy_pct - published_pct) > tolerance_pct:
        raise UvlpError(
            "the teacher's accuracy on the real test images",
            got=f"{accuracy_pct:.1f} %",
            allowed=f"the published {published_pct:g} % within {tolerance_pct:g} points",
            fix="check the checkpoint, the image size and the test images, or set teacher.tolerance_pct",
        )


def save(network: nn.Module, folder: Path) -> None:
    """Write the weights to ``folder``."""
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, folder / teachers.WEIGHTS)


def load_teacher(folder: Path) -> nn.Module:
    """Load the teacher of an artifact on the CPU, in evaluation mode, without gradients.

    Raises:
        UvlpError: the folder contains no teacher, or damaged weights.
    """
    facts = teachers.read(folder)
    network = rded_networks.seeded(facts.architecture, classes=facts.classes, size_px=facts.size_px, seed=0)
    try:
        network.load_state_dict(load_file(folder / teachers.WEIGHTS))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise UvlpError(
            "damaged weights of a teacher",
            got=str(folder / teachers.WEIGHTS),
            fix="rebuild it with --force",
        ) from error
    return network.eval().requires_grad_(False)


ABOVE_CHANCE = 0.05
GAIN = 0.2
DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True)
class Reordering:
    """An order of the outputs that fits the images far better.

    Attributes:
        order: int64 [C], the output that predicts class c.
        accuracy_pct: the teacher's accuracy with its outputs in this order, percent.
    """

    order: numpy.ndarray
    accuracy_pct: float

    @property
    def moved(self) -> list[int]:
        """Classes that another output predicts."""
        return numpy.flatnonzero(self.order != numpy.arange(len(self.order))).tolist()


def confusion(labels: numpy.ndarray, predictions: numpy.ndarray, classes: int) -> numpy.ndarray:
    """Return the confusion matrix int64 [C,C]: images by class (row) and prediction (column)."""
    return numpy.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def per_class_pct(counts: numpy.ndarray) -> tuple[float | None, ...]:
    """Return the accuracy of every class of a confusion matrix, percent; None for a class without images."""
    totals = counts.sum(1)
    return tuple(
        100 * int(right) / int(total) if total else None
        for right, total in zip(counts.diagonal(), totals, strict=True)
    )


def near_chance_pct(classes: int, images: int) -> float:
    """Return the accuracy, percent, up to which a teacher counts as no better than chance.

    A twentieth of the way from chance to 100 %, or two standard errors of chance if that is more (few
    images), but at most half of the way.
    """
    chance = 1 / classes
    errors = 2 * math.sqrt(chance * (1 - chance) / images)
    return 100 * (chance + min(max(ABOVE_CHANCE * (1 - chance), errors), (1 - chance) / 2))


def best_order(counts: numpy.ndarray) -> numpy.ndarray:
    """Return int64 [C]: the one-to-one assignment of outputs to classes with most correct predictions."""
    from scipy.optimize import linear_sum_assignment

    # The identity breaks ties, so that classes without images are not moved.
    weights = counts * (len(counts) + 1) + numpy.eye(len(counts), dtype=counts.dtype)
    return linear_sum_assignment(weights, maximize=True)[1]


def find_reordering(labels: numpy.ndarray, predictions: numpy.ndarray, classes: int) -> Reordering | None:
    """Return the order in which the teacher was trained if it differs from the dataset's, else None.

    The order is fitted on every second image of each class and tested on the others: on the images it
    was fitted to, some order always looks better. It counts if, among the tested images of the moved
    classes, a fifth more are predicted correctly, by more than three standard errors.

    Args:
        labels, predictions: int64 [N], class and largest output of every image.
        classes: number of classes.
    """
    second = _every_second(labels)
    order = best_order(confusion(labels[~second], predictions[~second], classes))
    tested = second & (order != numpy.arange(classes))[labels]
    as_is = int((predictions[tested] == labels[tested]).sum())
    moved = int((predictions[tested] == order[labels[tested]]).sum())
    gain = moved - as_is
    if gain <= GAIN * tested.sum() or gain <= DEVIATIONS * math.sqrt(moved + as_is):
        return None
    final = best_order(confusion(labels, predictions, classes))
    return Reordering(final, 100 * float((predictions == final[labels]).mean()))


def _every_second(labels: numpy.ndarray) -> numpy.ndarray:
    """Return bool [N]: the second, fourth, ... image of each class."""
    by_class = numpy.argsort(labels, kind="stable")
    starts = numpy.searchsorted(labels[by_class], labels[by_class])
    second = numpy.empty(len(labels), dtype=bool)
    second[by_class] = (numpy.arange(len(labels)) - starts) % 2 == 1
    return second
