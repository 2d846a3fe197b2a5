"""Teachers of the RDED protocol: train one from scratch, measure it on real images, keep and load it.

Training follows torchvision's reference recipe for classification, which the published teachers were
trained with (evaluation.md 3.2): random resized crop and flip, SGD, a tenth of the learning rate after
each third of the epochs. Crops are cut from images that already have the network's input size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from uvlp.artifacts import teachers
from uvlp.blocks import augment, class_order
from uvlp.blocks.arithmetic import arithmetic
from uvlp.blocks.image_sets import Prepared
from uvlp.blocks.optimisers import Sgd
from uvlp.blocks.outcome import predict
from uvlp.blocks.training import check_finite, train_step
from uvlp.blocks.transfer import send
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.ranges import check_ranges
from uvlp.core.seeds import derive, numpy_generator
from uvlp.core.wording import first_few
from uvlp.models import rded_networks
from uvlp.recipes.limits import SECTIONS
from uvlp.recipes.schema import TeacherSettings

REVISION = 1
DECAY = 0.1
LISTED_CLASSES = 100  # up to so many, an error lists the whole order of the outputs


def check_settings(settings: TeacherSettings) -> None:
    """Raise UvlpError for the first setting that no training can use."""
    check_ranges(settings, "teacher", SECTIONS["teacher"])


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
    """A network trained on hard labels, in evaluation mode, on ``device``; equal seeds give equal weights.

    Args:
        train_images: uint8 [N,3,S,S] with labels.
        architecture: one of `rded_networks.ARCHITECTURES`.
        classes: number of classes.
        settings: schedule and augmentation.
        flip: probability of the horizontal flip.
        seed: initialisation, order, augmentation and dropout derive from it.
        device: "cpu" or "cuda".
        progress: told of every epoch.

    Raises:
        UvlpError: impossible settings, a single image, images that do not fit the architecture, or a loss
            that is not a number.
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
    # Dropout and stochastic depth draw from torch's global stream.
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
            do = f"lower the learning rate: --set teacher.lr={settings.lr / 4:g}"
            check_finite([torch.stack(losses)], f"{architecture} (teacher)", epoch, do)
    return network.eval()


def learning_rate(epoch: int, epochs: int, lr: float) -> float:
    """Learning rate of the 1-based ``epoch``: a tenth after each third, so after 30 and 60 of 90."""
    return lr * DECAY ** ((epoch - 1) * 3 // epochs)


def batches(rows: Tensor, size: int) -> list[Tensor]:
    """``rows`` in parts of ``size``; a single one left over joins the part before it.

    A batch of one image has no variance for batch normalisation to divide by.

    Raises:
        UvlpError: there is only one row.
    """
    if len(rows) < 2:
        raise UvlpError("training images of a teacher", got=len(rows), allowed="at least 2", do="add images")
    parts = list(rows.split(size))
    if len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _augmented(pixels: Tensor, generator: numpy.random.Generator, crop_scale: float, flip: float) -> Tensor:
    """Random resized crops, flipped and normalised: float32 [n,3,S,S] of uint8 ``pixels``."""
    count, size_px = len(pixels), pixels.shape[2]
    draws = augment.draw(
        generator, count, size_px, crop_scale=crop_scale, flip=flip, jitter=0.0, lighting=0.0
    )
    return augment.augment(pixels / 255, augment.prepare(draws, size_px, pixels.device.type))


def measure(
    network: nn.Module, validation: Prepared, names: Sequence[str], settings: TeacherSettings, device: str
) -> tuple[float, tuple[float | None, ...]]:
    """Accuracy of a teacher on all validation images and for each class, percent (evaluation.md Q32).

    Args:
        network: in evaluation mode, and left so.
        validation: real images with labels below ``len(names)``.
        names: of the classes, for people.
        settings: the accuracy that was published, if any, and how far off the teacher may be.
        device: "cpu" or "cuda".

    Raises:
        UvlpError: outputs in another order than the classes, accuracy near chance or too far from the
            published one.
    """
    labels = validation.labels
    with arithmetic(device, "tf32", deterministic=True):
        answers = predict(network.to(device), validation.pixels.to(device)).argmax(1).cpu().numpy()
    network.eval()
    accuracy_pct = 100 * float((answers == labels).mean())
    reordering = class_order.find_reordering(labels, answers, len(names))
    if reordering is not None:
        raise _wrong_order(reordering, accuracy_pct, names)
    _check_accuracy(accuracy_pct, len(names), len(labels), settings)
    counts = class_order.confusion(labels, answers, len(names))
    return accuracy_pct, class_order.per_class_pct(counts)


def _wrong_order(found: class_order.Reordering, accuracy_pct: float, names: Sequence[str]) -> UvlpError:
    swaps = [f"output {found.order[label]} answers for {names[label]!r} ({label})" for label in found.moved]
    rows = f" to {found.order.tolist()}" if len(names) <= LISTED_CLASSES else ""
    return UvlpError(
        f"the teacher's outputs are in another order than the dataset's classes: {first_few(swaps)}",
        got=f"{accuracy_pct:.1f} % right, {found.accuracy_pct:.1f} % if reordered",
        allowed="output i answers for class i of the dataset",
        do=f"reorder the rows of the checkpoint's last layer (weight and bias){rows}, "
        "or rename the class folders",
    )


def _check_accuracy(accuracy_pct: float, classes: int, images: int, settings: TeacherSettings) -> None:
    limit_pct = class_order.near_chance_pct(classes, images)
    if accuracy_pct <= limit_pct:
        raise UvlpError(
            f"the teacher is near chance on {images} real test images of {classes} classes",
            got=f"{accuracy_pct:.1f} %",
            allowed=f"more than {limit_pct:.1f} %",
            do="train it longer (teacher.epochs), or choose the checkpoint of this dataset and image size",
        )
    published_pct, tolerance_pct = settings.published_pct, settings.tolerance_pct
    if published_pct and abs(accuracy_pct - published_pct) > tolerance_pct:
        raise UvlpError(
            "the teacher's accuracy on the real test images",
            got=f"{accuracy_pct:.1f} %",
            allowed=f"the published {published_pct:g} % within {tolerance_pct:g} points",
            do="check the checkpoint, the image size and the test images, or set teacher.tolerance_pct",
        )


def save(network: nn.Module, folder: Path) -> None:
    """Write the weights into ``folder``."""
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, folder / teachers.WEIGHTS)


def load(folder: Path) -> nn.Module:
    """The teacher of an artifact, on the CPU, in evaluation mode, without gradients.

    Raises:
        UvlpError: the folder holds no teacher, or damaged weights.
    """
    facts = teachers.read(folder)
    network = rded_networks.seeded(facts.architecture, classes=facts.classes, size_px=facts.size_px, seed=0)
    try:
        network.load_state_dict(load_file(folder / teachers.WEIGHTS))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise UvlpError(
            "damaged weights of a teacher",
            got=str(folder / teachers.WEIGHTS),
            do="make it again with --force",
        ) from error
    return network.eval().requires_grad_(False)
