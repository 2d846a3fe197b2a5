"""IDC without multi-formation (Kim et al. 2022, ICML, "Dataset Condensation via Efficient Synthetic-Data
Parameterization", algorithm 1; evaluation.md 5).

Details of the published code (github.com/snu-mllab/Efficient-Dataset-Condensation, `condense.py`): networks
learn from real images, not from the synthetic ones; each class takes a step of its own, during which the
others move on by their momentum; pixels are clipped when a new network starts, not after every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, numpy_generator
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.methods.algorithms.optimising.gradient_matching import convolution_weights, descend_, matching_loss
from uvlp.methods.algorithms.optimising.optimisation import Meter
from uvlp.methods.algorithms.optimising.real_images import RealImages, start_images
from uvlp.methods.algorithms.optimising.siamese_augmentation import augment, augment_alike, draw
from uvlp.models.device import send
from uvlp.networks.parts.seeded import seeded
from uvlp.protocols.training.augment import normalise
from uvlp.protocols.training.loop import train_step
from uvlp.protocols.training.mixing import draw_cutmix
from uvlp.protocols.training.optimisers import Sgd

MATCHED = ("colour", "crop", "cutout")
TRAINED = ("colour", "crop")
"""Operations on the batches that the network learns from: CutMix takes the place of cutout."""
IPC = 10
"""Images per class for which the learning rate of the pixels is stated."""


def learning_rate(lr: float, lr_px: int, ipc: int, size_px: int) -> float:
    """Return the learning rate of the pixels: the loss is a mean over images, and gradients of one pixel
    shrink with the number of pixels.
    """
    return lr * (ipc / IPC) * (size_px / lr_px) ** 2


class Condensation:
    """An `Optimisation` of pixels [C * ipc, 3, S, S]; an iteration is one of the inner loop.

    Args:
        inputs: with ``size_px`` and ``device``.
        settings: those of the method `idc-1`.
        network: name of the network, with depth.
        progress: reports the images that are read.

    Raises:
        UvlpError: the network has no convolution.
    """

    def __init__(self, inputs: MethodInput, settings: Any, network: str, progress: Progress) -> None:
        self._inputs, self._settings, self._name = inputs, settings, network
        self.iterations = settings.outer * settings.inner
        self.fix = f"lower the learning rate: --set idc-1.lr={settings.lr / 4:g}"
        self.meter = Meter(inputs.device)
        self._real = RealImages(inputs, progress)
        self._pixels = start_images(inputs, self._real) / 255
        self._velocity = torch.zeros_like(self._pixels)
        self._lr = learning_rate(settings.lr, settings.lr_px, inputs.ipc, inputs.size_px)
        self._start_network(0)
        if not convolution_weights(self._network):
            raise UvlpError("idc-1 matches the gradients of convolutions", got=f"{network}, which has none")

    def step(self, iteration: int) -> Tensor:
        """Update the images of every class, then the network; the first of an outer loop starts a new one."""
        outer, inner = divmod(iteration - 1, self._settings.inner)
        if inner == 0:
            self._pixels.clamp_(0, 1)
            self._start_network(outer)
            generator = numpy_generator(self._inputs.seed, "idc-1", "pretrain", outer)
            for _ in range(self._settings.pretrain_epochs):
                self._train(generator.permutation(self._real.total), generator)
        losses = [self._match(iteration, index) for index in range(len(self._real))]
        if inner + 1 < self._settings.inner:  # after the last one the network is replaced
            generator = numpy_generator(self._inputs.seed, "idc-1", "train", iteration)
            self._train(self._some_images(generator), generator)
        return torch.stack(losses).sum()

    def _start_network(self, outer: int) -> None:
        settings = self._settings
        self._network: nn.Module = seeded(
            self._name,
            classes=len(self._real),
            size_px=self._inputs.size_px,
            width=settings.width,
            seed=derive(self._inputs.seed, "idc-1", "network", outer),
        ).to(self._inputs.device)
        self._optimiser = Sgd(
            self._network.parameters(),
            settings.network_lr,
            settings.network_momentum,
            settings.network_decay,
        )

    def _match(self, iteration: int, index: int) -> Tensor:
        """Take a step of the images of a class; return their loss."""
        settings, ipc = self._settings, self._inputs.ipc
        generator = numpy_generator(self._inputs.seed, "idc-1", "match", iteration, index)
        real = self._real.draw(index, settings.real_batch, generator)
        chosen = generator.choice(ipc, size=min(ipc, settings.synthetic_batch), replace=False)
        rows = send(index * ipc + numpy.sort(chosen), self._inputs.device)
        draws = draw(generator, MATCHED, self._inputs.size_px)
        own = self._pixels[rows].requires_grad_()
        target, matched = augment_alike([normalise(real), normalise(255 * own)], draws)
        with self.meter.network(len(real) + len(own)):
            loss = matching_loss(self._network, target, matched, index, settings.distance)
            (gradient,) = torch.autograd.grad(loss, own)
        descend_(self._pixels, self._velocity, gradient, rows, lr=self._lr, momentum=settings.momentum)
        return loss.detach()

    def _some_images(self, generator: numpy.random.Generator) -> numpy.ndarray:
        """Draw whole batches of different images until they are ``train_images`` or more, or all."""
        batch = self._settings.real_batch
        count = -(-self._settings.train_images // batch) * batch
        return generator.choice(self._real.total, size=min(count, self._real.total), replace=False)

    def _train(self, rows: numpy.ndarray, generator: numpy.random.Generator) -> None:
        """Train the network on the real images at ``rows``, batch by batch."""
        settings, size_px = self._settings, self._inputs.size_px
        for start in range(0, len(rows), settings.real_batch):
            images, labels = self._real.at(rows[start : start + settings.real_batch])
            draws = draw(generator, TRAINED, size_px, rows=len(images))
            mix = draw_cutmix(generator, len(images), size_px, settings.mix_probability, self._inputs.device)
            images = augment(normalise(images), draws)
            with self.meter.network(len(images)):
                train_step(self._network, self._optimiser, images, labels, mix)

    def state(self) -> dict[str, Tensor]:
        """Return pixels and network with their momentum."""
        tensors = {"pixels": self._pixels, "velocity": self._velocity}
        tensors |= {f"network.{name}": each for name, each in self._network.state_dict().items()}
        velocities = enumerate(self._optimiser.velocities)
        return tensors | {f"network velocity.{number}": each for number, each in velocities}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    def images(self) -> Tensor:
        """Return the images, unclipped since the last network started."""
        return self._pixels
