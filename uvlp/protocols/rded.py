"""The RDED protocol: soft labels from a teacher, networks with batch normalisation (evaluation.md 3)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts import teachers
from uvlp.artifacts.scores import Score
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive
from uvlp.recipes.evaluation import RdedSettings
from uvlp.recipes.setting import check_limits
from uvlp.recipes.workload import Workload

if TYPE_CHECKING:
    import numpy
    from torch import nn

    from uvlp.protocols.training.images import Images, Prepared

REVISION = 2
PIXELS_REVISION = 1
SECTION = "rded"
Settings = RdedSettings
TEACHER = True


def networks() -> tuple[str, ...]:
    """Return the names that `--network` accepts beside ``timm:NAME``."""
    from uvlp.protocols.training.rded_networks import ARCHITECTURES

    return ARCHITECTURES


def canonical(network: str) -> str:
    """Return the published name of a network, e.g. ``conv3`` for "convnet-3".

    Raises:
        UvlpError: the protocol has no such network.
    """
    from uvlp.protocols.training import rded_networks

    return rded_networks.canonical(network)


def family(network: str) -> str | None:
    """Return the file in `uvlp/networks` that builds a network; None for torchvision's networks."""
    from uvlp.protocols.training import rded_networks

    return "convnet" if rded_networks.depth(rded_networks.canonical(network)) else None


def check(network: str, settings: RdedSettings) -> None:
    """Raise UvlpError for settings that no training can use, or images that do not fit the network."""
    from uvlp.protocols.training import rded_networks
    from uvlp.protocols.training.rded_rules import adamw_lr

    check_limits(settings, "rded")
    rded_networks.check(network, settings.size_px)
    if settings.optimiser == "adamw" and not settings.lr:
        adamw_lr(network)


def check_images(
    settings: RdedSettings, network: str, *, teacher: str, classes: int, images: int, side_px: int
) -> None:
    """Refuse an impossible training, as far as this can be known before its images exist.

    Args:
        teacher: architecture of the teacher.
        images: number of training images, all classes together.
        side_px: side of the images; 0 if unknown.

    Raises:
        UvlpError: too many classes for the student, more patches than pixels, no update within an epoch, or
            a batch of a single image where a normalisation layer has a 1x1 map.
    """
    from uvlp.protocols.training import rded_networks, rded_rules
    from uvlp.protocols.training.minimax_rules import last_batch

    rded_networks.check_classes(network, classes)
    rules = rded_rules.rules(settings, network, teacher, classes, max(1, images // classes))
    rded_rules.check_images(settings, rules.batch, images, side_px)
    if last_batch(images, rules.batch) == 1:
        from uvlp.protocols.training.loop import check_single_image

        check_single_image(
            lambda: rded_networks.build(network, classes=classes, size_px=settings.size_px),
            settings.size_px,
            got=f"{images} images in batches of {rules.batch}",
            fix="set another rded.batch, or a larger rded.size_px",
        )


def validation_pixels(pixels: numpy.ndarray, size_px: int) -> numpy.ndarray:
    """uint8 [H,W,3] to uint8 [size_px,size_px,3]: resize with a margin, then centre crop.

    Source: evaluation.md 3.3.
    """
    from uvlp.protocols.training.images import resize_and_crop
    from uvlp.protocols.training.rded_rules import resized_px

    return resize_and_crop(pixels, size_px, resized_px(size_px))


def evaluate(
    train: Images,
    validation: Prepared,
    *,
    network: str,
    classes: int,
    ipc: int,
    settings: RdedSettings,
    seed: int,
    progress: Progress,
    full: bool = False,
    device: str = "cpu",
    teacher: Path | None = None,
) -> Score:
    """Train one student once on the teacher's labels and score it on every validation image.

    Args:
        train: training images, at their original size; their labels are ignored, and soft ones refused.
        validation: validation images, of side ``settings.size_px``.
        network, classes: the student, e.g. "conv3", and its number of classes.
        ipc: images per class; sets the batch size unless the settings do.
        settings: sizes, schedule and optimiser.
        seed: of this repeat; initialisation, order, augmentation and mixing derive from it.
        progress: reports every epoch.
        full: ``train`` is the complete training set.
        device: "cpu" or "cuda".
        teacher: folder of a `teachers` artifact.

    Raises:
        UvlpError: unknown network, images too small for it, impossible settings, a batch too small for
            normalisation, a teacher of another image size or number of classes, or a loss not finite.
    """
    from uvlp.models.device import arithmetic
    from uvlp.protocols.training import rded_rules
    from uvlp.protocols.training.loop import seeded_dropout
    from uvlp.protocols.training.rded_training import train_and_validate

    assert teacher is not None, "soft labels need a teacher"
    assert train.soft is None, "the teacher makes the labels"
    check(network, settings)
    settings = replace(settings, epochs=settings.epochs_full) if full else settings
    facts = teachers.read(teacher)
    _check_teacher(facts, classes, settings.size_px)
    per_class = max(1, len(train.labels) // classes) if full else ipc
    architecture, images = facts.architecture, len(train.labels)
    check_images(settings, network, teacher=architecture, classes=classes, images=images, side_px=0)
    student, teaching = _pair(network, teacher, classes, settings, seed, device)
    with seeded_dropout(seed, device), arithmetic(device, settings.precision, settings.deterministic):
        record = train_and_validate(
            student,
            teaching,
            network,
            train,
            validation,
            rules=rded_rules.rules(settings, network, architecture, classes, per_class),
            settings=settings,
            seed=seed,
            device=device,
            progress=progress,
        )
    parameters = sum(parameter.numel() for parameter in student.parameters())
    return record.score(validation, train_images=len(train.labels), parameters=parameters)


def workload(
    settings: RdedSettings, network: str, *, ipc: int, classes: int, images: int, full: bool
) -> Workload:
    """Return the amount of work of one training (evaluation.md 3.1, 3.5); arguments as for `evaluate`.

    The rules are those of a teacher with the student's architecture.
    """
    from uvlp.protocols.training import rded_rules

    per_class = max(1, images // classes) if full else ipc
    epochs = settings.epochs_full if full else settings.epochs
    period, start = settings.validation_period, settings.validation_start
    return Workload(
        epochs=epochs,
        images=images,
        batch=rded_rules.rules(settings, network, network, classes, per_class).batch,
        validations=len(rded_rules.validated_epochs(epochs, period, start)),
    )


def _pair(
    network: str, teacher: Path, classes: int, settings: RdedSettings, seed: int, device: str
) -> tuple[nn.Module, nn.Module]:
    """Return the student, initialised from ``seed``, and the teacher, both on ``device``."""
    from uvlp.models.device import prepare_network
    from uvlp.protocols.training import rded_networks
    from uvlp.protocols.training.teacher import load_teacher

    student = rded_networks.seeded(
        network, classes=classes, size_px=settings.size_px, seed=derive(seed, "init")
    )
    precision, channels_last = settings.precision, settings.channels_last
    return (
        prepare_network(student, device, precision, channels_last),
        prepare_network(load_teacher(teacher), device, precision, channels_last),
    )


def _check_teacher(facts: teachers.Teacher, classes: int, size_px: int) -> None:
    for what, has, needed in (("classes", facts.classes, classes), ("size_px", facts.size_px, size_px)):
        if has != needed:
            raise UvlpError(
                f"the teacher's {what}",
                got=has,
                allowed=f"{needed}, as the student",
                fix="train or import another teacher",
            )
