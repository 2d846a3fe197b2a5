"""Features of the training images from a network trained on all of them (evaluation.md 5, Herding)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import torch
from torch import Tensor

from uvlp.core.progress import Progress
from uvlp.models.device import arithmetic, prepare_network
from uvlp.protocols.training import augment
from uvlp.protocols.training.images import Images, Prepared, prepare, resize_and_crop
from uvlp.protocols.training.loop import PART_PIXELS
from uvlp.protocols.training.minimax_training import train_and_validate
from uvlp.recipes.evaluation import EvaluateSettings


def network_features(
    network: Any,
    name: str,
    train: Images,
    validation: Prepared,
    *,
    classes: int,
    settings: EvaluateSettings,
    seed: int,
    device: str,
    progress: Progress,
) -> numpy.ndarray:
    """Train ``network`` and return the pooled features float32 [N, D] of ``train``, not normalised.

    The features are those of the checkpoint with the best validation accuracy.

    Args:
        network: untrained, with ``embed`` (tap 5).
        name: of the network, for errors.
        train: the complete training set; for its features it is prepared like validation images.
        validation: selects the checkpoint.
        classes, settings, seed, device, progress: see `protocols/training/minimax_training.py`.

    Raises:
        UvlpError: the loss is not finite.
    """
    network = prepare_network(network, device, settings.precision, settings.channels_last)
    best: dict[str, Tensor] = {}

    def keep() -> None:
        best.update({key: value.detach().clone() for key, value in network.state_dict().items()})

    with arithmetic(device, settings.precision, settings.deterministic):
        train_and_validate(
            network,
            name,
            train,
            validation,
            classes=classes,
            epochs=settings.epochs_full,
            settings=settings,
            seed=seed,
            device=device,
            progress=progress,
            at_best=keep,
        )
        network.load_state_dict(best)
        return _embed(network.eval().embed, train, settings.size_px, device)


@torch.inference_mode()
def _embed(embed: Callable[[Tensor], Tensor], train: Images, size_px: int, device: str) -> numpy.ndarray:
    images = prepare(train.pixels, size_px, resize_and_crop)
    parts = images.split(max(1, PART_PIXELS[device] // size_px**2))
    features = torch.cat([embed(augment.normalise(part.to(device))).float().cpu() for part in parts])
    return features.numpy()
