"""The Minimax protocol: hard labels, small networks with instance normalisation (evaluation.md 1)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from uvlp.artifacts.scores import Score
from uvlp.core.errors import UvlpError
from uvlp.core.names import split_network
from uvlp.core.plugins import load
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive
from uvlp.recipes.schema import EvaluateSettings

if TYPE_CHECKING:
    import numpy
    from torch import nn

    from uvlp.blocks.image_sets import Images

REVISION = 1


def evaluate(
    train: Images,
    validation: Images,
    *,
    network: str,
    classes: int,
    ipc: int,
    settings: EvaluateSettings,
    seed: int,
    progress: Progress,
    full: bool = False,
    device: str = "cpu",
) -> Score:
    """Train one network once and score it on every validation image.

    Args:
        train, validation: the images with labels below ``classes``.
        network: family and depth, e.g. "convnet-3".
        classes: number of classes.
        ipc: images per class, which decide on the epochs if the settings do not.
        settings: sizes, schedule and augmentation.
        seed: of this repeat; initialisation, order, augmentation and CutMix derive from it.
        progress: told of every epoch.
        full: ``train`` is the whole training set.
        device: "cpu" or "cuda".

    Raises:
        UvlpError: unknown network, image too small for it, impossible settings, or a loss that is not
            a number.
    """
    from uvlp.blocks.repeat import train_and_validate

    _check(settings)
    model = _build(network, classes, settings, seed).to(device)
    with _reference_precision(device):
        outcome = train_and_validate(
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
    return Score(
        best_pct=dict(outcome.curve)[outcome.best_epoch],
        best_epoch=outcome.best_epoch,
        last_pct=outcome.curve[-1][1],
        curve=outcome.curve,
        correct_best=_bits(outcome.correct_best),
        correct_last=_bits(outcome.correct_last),
        validation_images=len(validation.labels),
        train_images=len(train.labels),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def _check(settings: EvaluateSettings) -> None:
    """Raise UvlpError for the first setting that no training can use."""
    ranges = {
        "epochs": (0, None),
        "epochs_full": (1, None),
        "validations": (1, None),
        "batch": (1, None),
        "size_px": (1, None),
        "width": (0, None),
        "crop_scale": (0.01, 1),
        "flip": (0, 1),
        "mix_probability": (0, 1),
    }
    for name, (least, most) in ranges.items():
        value = getattr(settings, name)
        if value < least or (most is not None and value > most):
            allowed = f"{least} or more" if most is None else f"{least} to {most}"
            raise UvlpError(f"setting evaluate.{name} out of range", got=value, allowed=allowed)


def _epochs(settings: EvaluateSettings, ipc: int, classes: int, full: bool) -> int:
    from uvlp.blocks.schedule import epochs_by_ipc

    if full:
        return settings.epochs_full
    return settings.epochs or epochs_by_ipc(ipc, classes)


def _build(network: str, classes: int, settings: EvaluateSettings, seed: int) -> nn.Module:
    """The network with weights drawn from ``seed``; the global stream is left as it was."""
    import torch

    family, depth = split_network(network)
    module = load("networks", family)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "init"))
        return module.build(
            depth, classes=classes, size_px=settings.size_px, norm=settings.norm, width=settings.width
        )


def _reference_precision(device: str) -> contextlib.AbstractContextManager[None]:
    """On a GPU: tuned convolutions that may use TF32, matrix products in float32 (evaluation.md 1.8)."""
    import torch

    if device == "cpu":
        return contextlib.nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True)


def _bits(correct: numpy.ndarray) -> str:
    import numpy

    return numpy.packbits(correct).tobytes().hex()
