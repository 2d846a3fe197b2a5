"""The Minimax protocol: hard labels, small networks with instance normalisation (evaluation.md 1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts.scores import Score
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive
from uvlp.declarations.network import check_network
from uvlp.recipes.evaluation import EvaluateSettings
from uvlp.recipes.setting import check_limits
from uvlp.recipes.workload import Workload

if TYPE_CHECKING:
    import numpy
    from torch import nn

    from uvlp.protocols.training.images import Images, Prepared


REVISION = 2
PIXELS_REVISION = 1
SECTION = "evaluate"
Settings = EvaluateSettings


def check(network: str, settings: EvaluateSettings) -> None:
    """Raise UvlpError for settings that no training can use, or a network too deep for the image size."""
    check_limits(settings, "evaluate")
    check_network(network, settings.size_px)


def check_images(
    settings: EvaluateSettings, network: str, *, teacher: str, classes: int, images: int, side_px: int
) -> None:
    """Refuse an impossible training, as far as this can be known before its images exist.

    Args:
        teacher: unused; the protocol has no teacher.
        images: number of training images, all classes together.
        side_px: unused; every image is resized.

    Raises:
        UvlpError: a batch would have a single image, and a normalisation layer a 1x1 map.
    """
    from uvlp.protocols.training.minimax_rules import last_batch, optimisation

    rules = optimisation(classes, settings.lr, settings.weight_decay, settings.batch)
    if last_batch(images, rules.batch) == 1:
        from uvlp.protocols.training.loop import check_single_image

        check_single_image(
            lambda: build(network, classes, settings, seed=0),
            settings.size_px,
            got=f"{images} images in batches of {rules.batch}",
            fix="set another evaluate.batch, or a larger evaluate.size_px",
        )


def validation_pixels(pixels: numpy.ndarray, size_px: int) -> numpy.ndarray:
    """uint8 [H,W,3] to uint8 [size_px,size_px,3]: shorter side resized, centre crop (evaluation.md 1.4)."""
    from uvlp.protocols.training.images import resize_and_crop

    return resize_and_crop(pixels, size_px)


def evaluate(
    train: Images,
    validation: Prepared,
    *,
    network: str,
    classes: int,
    ipc: int,
    settings: EvaluateSettings,
    seed: int,
    progress: Progress,
    full: bool = False,
    device: str = "cpu",
    teacher: Path | None = None,
) -> Score:
    """Train one network once and score it on every validation image.

    Args:
        train: training images, with labels below ``classes``.
        validation: validation images, of side ``settings.size_px``.
        network: family and depth, e.g. "convnet-3".
        classes: number of classes.
        ipc: images per class; sets the number of epochs unless the settings do.
        settings: sizes, schedule and augmentation.
        seed: of this repeat; initialisation, order, augmentation and CutMix derive from it.
        progress: reports every epoch.
        full: ``train`` is the complete training set.
        device: "cpu" or "cuda".
        teacher: None; this protocol has no teacher.

    Raises:
        UvlpError: unknown network, images too small for it, impossible settings, a batch of a single image
            where normalisation needs more, or a loss that is not finite.
    """
    from uvlp.models.device import arithmetic, prepare_network
    from uvlp.protocols.training.loop import seeded_dropout
    from uvlp.protocols.training.minimax_training import train_and_validate

    assert teacher is None, "hard labels need no teacher"
    check(network, settings)
    check_images(settings, network, teacher="", classes=classes, images=len(train.labels), side_px=0)
    model = build(network, classes, settings, seed)
    model = prepare_network(model, device, settings.precision, settings.channels_last)
    # The published networks draw nothing; some of timm have dropout.
    with seeded_dropout(seed, device), arithmetic(device, settings.precision, settings.deterministic):
        record = train_and_validate(
            model,
            network,
            train,
            validation,
            classes=classes,
            epochs=_epochs(settings, ipc, classes, full),
            settings=settings,
            seed=seed,
            device=device,
            progress=progress,
        )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return record.score(validation, train_images=len(train.labels), parameters=parameters)


def workload(
    settings: EvaluateSettings, network: str, *, ipc: int, classes: int, images: int, full: bool
) -> Workload:
    """Return the amount of work of one training (evaluation.md 1.8); arguments as for `evaluate`."""
    from uvlp.protocols.training.minimax_rules import optimisation, validated_epochs

    epochs = _epochs(settings, ipc, classes, full)
    return Workload(
        epochs=epochs,
        images=images,
        batch=optimisation(classes, settings.lr, settings.weight_decay, settings.batch).batch,
        validations=len(validated_epochs(epochs, settings.validations)),
    )


def _epochs(settings: EvaluateSettings, ipc: int, classes: int, full: bool) -> int:
    from uvlp.protocols.training.minimax_rules import epochs_by_ipc

    if full:
        return settings.epochs_full
    return settings.epochs or epochs_by_ipc(ipc, classes)


def build(network: str, classes: int, settings: EvaluateSettings, seed: int) -> nn.Module:
    """Return the network, initialised from ``seed``; torch's global generator is restored."""
    from uvlp.networks.parts.seeded import seeded

    return seeded(
        network,
        classes=classes,
        size_px=settings.size_px,
        norm=settings.norm,
        width=settings.width,
        seed=derive(seed, "init"),
    )
