"""Distribution matching (evaluation.md 5; Zhao & Bilen 2023, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, numpy_generator
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.methods.algorithms.optimising import siamese_augmentation
from uvlp.methods.algorithms.optimising.matching import mean_matching_loss
from uvlp.methods.algorithms.optimising.optimisation import Meter
from uvlp.methods.algorithms.optimising.real_images import RealImages, start_images
from uvlp.networks.parts.seeded import seeded
from uvlp.protocols.training.augment import denormalise, normalise
from uvlp.recipes import workload

OPERATIONS = ("colour", "crop", "cutout", "flip", "scale", "rotate")
PIXELS_PER_PASS = {"cpu": 1 << 20, "cuda": workload.PIXELS_PER_PASS}
"""Classes share a pass until their images have this many pixels; on a GPU that is 334 images of 224 px."""

REAL_PIXELS_PER_PASS = {"cpu": 1 << 15, "cuda": workload.PIXELS_PER_PASS}
"""The same for real images, which need no gradient: on a CPU, of 32 to 512 images of 16 px at once, 128 took
the least time."""


class MatchingSettings(Protocol):
    """The settings of the loss."""

    @property
    def real_batch(self) -> int:
        """Real images per class and iteration."""

    @property
    def width(self) -> int:
        """Channels of the network; 0: its own."""


class Settings(MatchingSettings, Protocol):
    """The settings of the optimisation of pixels, those of the method `dm`."""

    @property
    def iterations(self) -> int:
        """Updates of the pixels."""

    @property
    def lr(self) -> float:
        """Learning rate of SGD."""

    @property
    def momentum(self) -> float:
        """Momentum of SGD."""


class MeanMatching:
    """The distances between mean features of real and synthetic images, under a new network per iteration.

    Args:
        inputs: with ``size_px``, ``flip`` and ``device``.
        settings: of the method.
        network: name of the random network, with depth.
        stream: of its random numbers, the name of the method.
        progress: reports the images that are read.

    Attributes:
        real: the training images.
        meter: of the passes through networks.
    """

    def __init__(
        self,
        inputs: MethodInput,
        settings: MatchingSettings,
        network: str,
        stream: str,
        progress: Progress,
    ) -> None:
        self._inputs, self._settings, self._network, self._stream = inputs, settings, network, stream
        self._operations = tuple(name for name in OPERATIONS if inputs.flip or name != "flip")
        self.real = RealImages(inputs, progress)
        self.meter = Meter(inputs.device)

    def gradient(self, pixels: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """Return the loss, a scalar, and its gradient at normalised ``pixels`` [C * ipc, 3, S, S]."""
        network = self._random_network(iteration)
        pixels = pixels.detach().requires_grad_()
        total = torch.zeros((), device=self._inputs.device)
        for classes in self._groups():
            loss = self._loss(network, pixels, classes, iteration)
            with self.meter.network(0):
                loss.backward()
            total = total + loss.detach()
        assert pixels.grad is not None
        return total, pixels.grad

    def _random_network(self, iteration: int) -> nn.Module:
        network = seeded(
            self._network,
            classes=len(self.real),
            size_px=self._inputs.size_px,
            width=self._settings.width,
            seed=derive(self._inputs.seed, self._stream, "network", iteration),
        )
        return network.requires_grad_(False).to(self._inputs.device)

    def _groups(self) -> Iterator[range]:
        """Yield the classes that share a pass."""
        each = (self._settings.real_batch + self._inputs.ipc) * self._inputs.size_px**2
        size = max(1, PIXELS_PER_PASS[self._inputs.device] // each)
        for first in range(0, len(self.real), size):
            yield range(first, min(first + size, len(self.real)))

    def _loss(self, network: nn.Module, pixels: Tensor, classes: range, iteration: int) -> Tensor:
        """Return the loss of some classes."""
        real, synthetic = self._augmented(pixels, classes, iteration)
        embed: Callable[[Tensor], Tensor] = network.embed  # type: ignore[assignment]
        with self.meter.network(sum(map(len, real))), torch.no_grad():
            size = max(1, REAL_PIXELS_PER_PASS[self._inputs.device] // self._inputs.size_px**2)
            real_features = torch.cat([embed(part) for part in torch.cat(real).split(size)])
        with self.meter.network(sum(map(len, synthetic))):
            synthetic_features = embed(torch.cat(synthetic))
        sizes, ipc = [len(batch) for batch in real], self._inputs.ipc
        return mean_matching_loss(zip(real_features.split(sizes), synthetic_features.split(ipc), strict=True))

    def _augmented(self, pixels: Tensor, classes: range, iteration: int) -> tuple[list[Tensor], list[Tensor]]:
        """Return real and synthetic images of some classes, each class under an augmentation of its own."""
        # Split at once: a slice per class would each add up a gradient of all pixels.
        own = pixels.split(self._inputs.ipc)
        real, synthetic = [], []
        for index in classes:
            generator = numpy_generator(self._inputs.seed, self._stream, "batch", iteration, index)
            batch = normalise(self.real.draw(index, self._settings.real_batch, generator))
            size_px = self._inputs.size_px
            draws = siamese_augmentation.draw(generator, self._operations, size_px, single=True)
            batch, images = siamese_augmentation.augment_alike([batch, own[index]], draws)
            real.append(batch)
            synthetic.append(images)
        return real, synthetic


class DistributionMatching:
    """An `Optimisation` of normalised pixels [C * ipc, 3, S, S]; images of a class are adjacent.

    Args:
        inputs, settings, network, progress: see `MeanMatching`.
    """

    def __init__(self, inputs: MethodInput, settings: Settings, network: str, progress: Progress) -> None:
        self._matching = MeanMatching(inputs, settings, network, "dm", progress)
        self._settings, self.iterations, self.meter = settings, settings.iterations, self._matching.meter
        self.fix = f"lower the learning rate: --set dm.lr={settings.lr / 4:g}"
        self._pixels = normalise(start_images(inputs, self._matching.real))
        self._momentum = torch.zeros_like(self._pixels)

    def step(self, iteration: int) -> Tensor:
        """Update the pixels by SGD."""
        loss, gradient = self._matching.gradient(self._pixels, iteration)
        self._momentum.mul_(self._settings.momentum).add_(gradient)
        self._pixels.sub_(self._momentum, alpha=self._settings.lr)
        return loss

    def state(self) -> dict[str, Tensor]:
        """Return pixels and momentum."""
        return {"pixels": self._pixels, "momentum": self._momentum}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state."""
        self._pixels.copy_(state["pixels"])
        self._momentum.copy_(state["momentum"])

    def images(self) -> Tensor:
        """Return the images, unclipped."""
        return denormalise(self._pixels)
