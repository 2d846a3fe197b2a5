"""teacher: the network whose soft labels the students of the RDED protocol learn.

Trained on the training images, or loaded from a checkpoint or torchvision; in all cases evaluated on the real
validation images before anything is stored.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvlp.artifacts import teachers
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.core import machine, plugins

if TYPE_CHECKING:
    from torch import nn

    from uvlp.protocols.training.images import Prepared


def run(work: Work) -> None:
    """Write `teachers`.

    Raises:
        UvlpError: see `protocols/training/teacher.py` and `protocols/training/checkpoint.py`.
    """
    from uvlp.protocols.training import teacher
    from uvlp.protocols.training.images import stored

    facts, settings, device = work.task.facts, work.task.settings, machine.device()
    classes = work.dataset().manifest.classes
    teacher.check_settings(settings)
    network, source = _network(work, len(classes), device)
    validation = stored(work.input("validation"))
    accuracy_pct, per_class_pct = teacher.measure(
        network, validation, [info.name for info in classes], settings, device
    )
    work.progress.point(settings.epochs, 0, accuracy_pct=accuracy_pct)
    work.progress.log(f"{accuracy_pct:.1f} % of {len(validation.labels)} test images of {validation.name}")
    teacher.save(network, work.folder)
    teachers.write(
        work.folder,
        teachers.Teacher(
            architecture=facts["network"],
            size_px=facts["size_px"],
            class_ids=tuple(info.id for info in classes),
            source=source,
            accuracy_pct=accuracy_pct,
            per_class_pct=per_class_pct,
            validation_set=validation.name,
            validation_images=len(validation.labels),
        ),
    )


def check(task: Task, classes: int | None) -> None:
    """Refuse an impossible teacher before anything is made.

    Args:
        task: of the teacher.
        classes: number of classes of the dataset; None if unknown.

    Raises:
        UvlpError: an architecture that does not support this image size or number of classes, unpublished
            weights, or a checkpoint of something else.
    """
    from uvlp.protocols.training import rded_networks

    network, source, size_px = task.facts["network"], task.settings.source, task.facts["size_px"]
    rded_networks.check(network, size_px)
    if classes is None:
        return
    rded_networks.check_classes(network, classes)
    if source == "trained":
        return
    if source == "torchvision":
        rded_networks.check_published(network, classes)
    from uvlp.protocols.training import checkpoint

    checkpoint.check(task.origins.get("checkpoint", ""), network, classes=classes, size_px=size_px)


def _network(work: Work, classes: int, device: str) -> tuple[nn.Module, str]:
    """The teacher, and a description of its origin."""
    from uvlp.protocols.training import checkpoint, teacher

    facts, settings = work.task.facts, work.task.settings
    network, size_px = facts["network"], facts["size_px"]
    if settings.source == "torchvision":
        made = checkpoint.from_torchvision(network, classes=classes, size_px=size_px)
        return made, "torchvision, IMAGENET1K_V1"
    if settings.source != "trained":
        path = Path(work.task.origins["checkpoint"])
        made = checkpoint.from_file(path, network, classes=classes, size_px=size_px, sha256=facts["file"])
        return made, f"{path.name}, sha256 {facts['file']}"
    images = _training_images(work.dataset(), size_px)
    trained = teacher.train(
        images,
        network,
        classes=classes,
        settings=settings,
        flip=facts["flip"],
        seed=facts["seed"],
        device=device,
        progress=work.progress,
    )
    return trained, f"trained here on {len(images.labels)} images, {settings.epochs} epochs"


def _training_images(dataset: Any, size_px: int) -> Prepared:
    """All training images, resized to the input size like the validation images."""
    import numpy

    from uvlp.protocols.training.images import LazyPixels, Prepared, prepare

    labels = numpy.asarray(dataset.labels("train"))
    originals = LazyPixels(partial(dataset.originals, "train"), len(labels))
    rule = plugins.load("protocols", teachers.PROTOCOL).validation_pixels
    return Prepared(pixels=prepare(originals, size_px, rule), labels=labels)
