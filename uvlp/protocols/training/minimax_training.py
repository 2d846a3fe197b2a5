"""One training run of the Minimax protocol, with validation (evaluation.md 1.5 to 1.9).

The images stay on the device in the dtype that they have; nothing is copied back within an epoch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from uvlp.core.progress import Progress
from uvlp.core.seeds import numpy_generator
from uvlp.models.device import send
from uvlp.protocols.training import augment, loop, minimax_rules, mixing
from uvlp.protocols.training.images import Images, Prepared, prepare, resize_and_crop, unit
from uvlp.protocols.training.loop import Record, train_step
from uvlp.protocols.training.optimisers import Sgd
from uvlp.recipes.evaluation import EvaluateSettings


def train_and_validate(
    network: nn.Module,
    name: str,
    train: Images,
    validation: Prepared,
    *,
    classes: int,
    epochs: int,
    settings: EvaluateSettings,
    seed: int,
    device: str,
    progress: Progress,
    at_best: Callable[[], None] | None = None,
) -> Record:
    """Train ``network`` (on ``device``) for ``epochs`` with the hyperparameters in ``settings``.

    ``name`` is the network's name in errors; ``at_best`` as in `loop.run_epochs`.

    Raises:
        UvlpError: the loss is not finite, detected at the next validation pass.
    """
    trainer = _MinimaxTrainer(network, train, classes, settings, seed, device)
    return loop.run_epochs(
        lambda epoch: trainer.epoch(epoch, epochs),
        epochs,
        minimax_rules.validated_epochs(epochs, settings.validations),
        network,
        validation,
        name=name,
        section="evaluate",
        device=device,
        progress=progress,
        at_best=at_best,
    )


class _MinimaxTrainer:
    """A network, its optimiser, its images and the random generators for order, augmentation and mixing."""

    def __init__(
        self,
        network: nn.Module,
        train: Images,
        classes: int,
        settings: EvaluateSettings,
        seed: int,
        device: str,
    ) -> None:
        self.network, self.settings, self.device = network, settings, device
        self.rules = minimax_rules.optimisation(classes, settings.lr, settings.weight_decay, settings.batch)
        self.optimiser = Sgd(network.parameters(), self.rules.lr, settings.momentum, self.rules.weight_decay)
        pixels = prepare(train.pixels, settings.size_px, resize_and_crop, floats=train.floats)
        self.images = pixels.to(device)
        soft = train.soft
        self.labels = torch.from_numpy(train.labels if soft is None else soft.values).to(device)
        self.temperature = 1.0 if soft is None else soft.temperature
        self.order, self.augmentation, self.mixing = (
            numpy_generator(seed, stream) for stream in ("order", "augment", "cutmix")
        )
        network.train()

    def epoch(self, epoch: int, epochs: int) -> Tensor:
        """Train on every image once, in a new order (the last batch may be smaller); return the losses."""
        self.optimiser.lr = minimax_rules.learning_rate(epoch, epochs, self.rules.lr)
        count, batch = len(self.images), self.rules.batch
        order = send(self.order.permutation(count), self.device)
        augmentation = self._draw(count)
        chunk = augment.images_per_call(batch, self.settings.size_px, self.device)
        losses = []
        for start in range(0, count, chunk):
            part = slice(start, start + chunk)
            images = augment.augment(unit(self.images[order[part]]), augmentation.select(part))
            labels = self.labels[order[part]]
            losses += [
                self._step(*pair) for pair in zip(images.split(batch), labels.split(batch), strict=True)
            ]
        return torch.stack(losses)

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        size_px, probability = self.settings.size_px, self.settings.mix_probability
        mix = mixing.draw_cutmix(self.mixing, len(images), size_px, probability, self.device)
        loss, _ = train_step(self.network, self.optimiser, images, labels, mix, self.temperature)
        return loss

    def _draw(self, count: int) -> augment.Augmentation:
        settings = self.settings
        draws = augment.draw(
            self.augmentation,
            count,
            settings.size_px,
            crop_scale=settings.crop_scale,
            flip=settings.flip,
            jitter=settings.jitter,
            lighting=settings.lighting,
        )
        return augment.prepare(draws, settings.size_px, self.device)
