"""SRe2L's recovery of images from a teacher (evaluation.md 5.2; Yin, Xing & Shen 2023).

Noise is optimised until the teacher recognises its classes, and until the statistics of the batch in front of
every batch-norm layer are those that the layer holds. Facts that the paper leaves out are those of the
published code (github.com/VILA-Lab/SRe2L, `recover/data_synthesis.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from uvlp.core.progress import Progress
from uvlp.core.seeds import numpy_generator, torch_generator
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.methods.algorithms.optimising.optimisation import Meter, enough_memory, report
from uvlp.models.device import arithmetic, send
from uvlp.models.quantise import truncate
from uvlp.models.training.loss_check import LossCheck
from uvlp.protocols.training.augment import MEAN, STD, coordinates, denormalise, resample
from uvlp.protocols.training.optimisers import AdamW
from uvlp.protocols.training.random_crop import draw_boxes
from uvlp.protocols.training.teacher import load_teacher

BETAS = (0.5, 0.9)
ROLL_PX = 224
"""Side of the images for which the roll is set."""


class Settings(Protocol):
    """The settings that it reads, those of the method `sre2l`."""

    @property
    def iterations(self) -> int:
        """Updates of every batch."""

    @property
    def batch(self) -> int:
        """Most images of a batch."""

    @property
    def lr(self) -> float:
        """First learning rate of Adam."""

    @property
    def statistics(self) -> float:
        """Weight of the distances between statistics."""

    @property
    def first_layer(self) -> float:
        """Further weight of the first layer's."""

    @property
    def crop_scale(self) -> float:
        """Smallest area of the crop."""

    @property
    def flip(self) -> bool:
        """Whether half of the views are mirrored."""

    @property
    def roll(self) -> int:
        """Greatest shift at 224 px."""


@dataclass(frozen=True, slots=True)
class Group:
    """A batch: one image of each of some neighbouring classes.

    Attributes:
        slot: number of the images within their classes.
        labels: their classes.
    """

    slot: int
    labels: range

    def rows(self, ipc: int) -> list[int]:
        """Return the rows of the images, class index * ipc + slot."""
        return [label * ipc + self.slot for label in self.labels]


def groups(classes: int, ipc: int, size: int) -> Iterator[Group]:
    """Yield the batches of at most ``size`` images: all first images of the classes, then all second ones."""
    for slot in range(ipc):
        for first in range(0, classes, size):
            yield Group(slot, range(first, min(first + size, classes)))


def sample(
    inputs: MethodInput, settings: Settings, progress: Progress, done: int
) -> Iterator[tuple[list[int], numpy.ndarray]]:
    """Yield one batch after the other, as rows and uint8 images, and report the speed at the end.

    Args:
        inputs: with ``size_px``, ``flip``, ``device`` and the model "teacher".
        settings: of the method.
        progress: reports iterations.
        done: images of the first batches that are already finished.

    Raises:
        UvlpError: a loss is not finite, or too little GPU memory.
    """
    recovery = Recovery(inputs, settings, progress)
    every = list(groups(len(inputs.classes), inputs.ipc, settings.batch))
    begun = 0
    for number, group in enumerate(every):
        begun += len(group.labels)
        if begun > done:
            images = recovery.images(group, number, len(every))
            yield group.rows(inputs.ipc), truncate(denormalise(images))
    recovery.report()


class Recovery:
    """Recovers batches from one teacher."""

    def __init__(self, inputs: MethodInput, settings: Settings, progress: Progress) -> None:
        self._inputs, self._settings, self._progress = inputs, settings, progress
        self._teacher = load_teacher(inputs.models["teacher"]).to(inputs.device)
        self._meter, self._seconds = Meter(inputs.device), 0.0

    def report(self) -> None:
        """Report images per second, and the share of the time in the teacher."""
        report(self._progress, self._meter, self._seconds)

    def images(self, group: Group, number: int = 0, count: int = 1) -> Tensor:
        """Return the last iterates of batch ``number`` of ``count``, normalised float32 [n,3,S,S]."""
        began, inputs, settings = time.monotonic(), self._inputs, self._settings
        name = (group.slot, group.labels.start)
        shape = (len(group.labels), 3, inputs.size_px, inputs.size_px)
        start = torch.randn(shape, generator=torch_generator(inputs.seed, "sre2l", "start", *name))
        pixels = start.to(inputs.device).requires_grad_()
        labels = torch.tensor(group.labels, device=inputs.device)
        views = numpy_generator(inputs.seed, "sre2l", "views", *name)
        fix = f"lower the learning rate: --set sre2l.lr={settings.lr / 4:g}"
        check = LossCheck("SRe2L", settings.iterations, 1, inputs.device, fix)
        update = Update(pixels, settings)
        memory = enough_memory("SRe2L", "lower --set sre2l.batch")
        with arithmetic(inputs.device, "tf32", deterministic=True), memory, Statistics(self._teacher) as seen:
            for iteration in range(1, settings.iterations + 1):
                view = draw(views, inputs.size_px, settings, flip=inputs.flip)
                with self._meter.network(len(labels)):
                    loss = inversion_loss(self._teacher, seen, view.of(pixels), labels, settings)
                    (pixels.grad,) = torch.autograd.grad(loss, pixels)
                update.step(iteration)
                check.add(loss, iteration)
                done = number * settings.iterations + iteration
                self._progress.at(done, count * settings.iterations, "iterations")
                self._progress.point(done, count * settings.iterations, loss=loss.detach())
        self._seconds += time.monotonic() - began
        return pixels.detach()


class Statistics:
    """Context in which a network records how far the statistics of a batch are from those of its layers."""

    def __init__(self, network: nn.Module) -> None:
        self._layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        assert self._layers, "a network with batch normalisation"
        self._hooks: list[Any] = []
        self._distances: list[Tensor] = []

    def __enter__(self) -> Statistics:
        """Start recording."""
        self._hooks = [layer.register_forward_pre_hook(self._record) for layer in self._layers]
        return self

    def __exit__(self, *_: object) -> None:
        """Stop recording."""
        for hook in self._hooks:
            hook.remove()

    def _record(self, layer: nn.Module, arguments: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(arguments[0], dim=(0, 2, 3), correction=0)
        assert isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None
        assert layer.running_var is not None
        self._distances.append(
            torch.linalg.vector_norm(layer.running_var - variance)
            + torch.linalg.vector_norm(layer.running_mean - mean)
        )

    def total(self, first_layer: float) -> Tensor:
        """Return the sum of the distances of the last pass, the first layer's times ``first_layer``."""
        distances, self._distances = self._distances, []
        return first_layer * distances[0] + torch.stack(distances[1:] or [0 * distances[0]]).sum()


def inversion_loss(
    network: nn.Module, seen: Statistics, images: Tensor, labels: Tensor, settings: Settings
) -> Tensor:
    """Return the cross-entropy plus the weighted distances between statistics, a scalar.

    Args:
        network: in evaluation mode.
        seen: the entered statistics of ``network``.
        images: normalised [n,3,S,S].
        labels: int64 [n].
        settings: with both weights.
    """
    entropy = cross_entropy(network(images), labels)
    return entropy + settings.statistics * seen.total(settings.first_layer)


@dataclass(frozen=True, slots=True)
class View:
    """A crop, resized to the side of the image, perhaps mirrored, then rolled: one for all images.

    Attributes:
        rows, columns: float64 [1,S], the source coordinate of every row and column.
    """

    rows: numpy.ndarray
    columns: numpy.ndarray

    def of(self, images: Tensor) -> Tensor:
        """Return the view of images [n,3,S,S]."""
        axes = (send(each, images.device, images.dtype) for each in (self.rows, self.columns))
        return resample(images, *axes)


def draw(generator: numpy.random.Generator, size_px: int, settings: Settings, *, flip: bool) -> View:
    """Draw a view of images of side ``size_px``; ``flip``: whether a mirrored image is of the same class.

    The roll of 0 to 32 px at 224 px is scaled with the side and rounded down: 0 to 4 px at 32 px, which are
    the two published ranges.
    """
    side = numpy.array([size_px])
    ((top, left, height, width),) = draw_boxes(generator, side, side, settings.crop_scale)
    mirrored = generator.random() < 0.5 and flip and settings.flip
    down, right = generator.integers(0, settings.roll * size_px // ROLL_PX, size=2, endpoint=True)
    rows, columns = (
        coordinates(numpy.array([start]), numpy.array([length]), size_px)
        for start, length in ((top, height), (left, width))
    )
    columns = columns[:, ::-1] if mirrored else columns
    return View(numpy.roll(rows, down, axis=1), numpy.roll(columns, right, axis=1))


class Update:
    """Adam with a learning rate that falls by a cosine, and clipping to the range of images.

    Args:
        pixels: normalised [n,3,S,S], changed in place.
        settings: with learning rate and number of iterations.
    """

    def __init__(self, pixels: Tensor, settings: Settings) -> None:
        self._pixels, self._settings = pixels, settings
        # Without weight decay AdamW is Adam.
        self._adam = AdamW([pixels], settings.lr, 0.0, betas=BETAS)
        mean, std = numpy.asarray(MEAN), numpy.asarray(STD)
        self._least, self._most = (
            send((level - mean) / std, pixels.device, pixels.dtype)[:, None, None] for level in (0, 1)
        )

    def step(self, iteration: int) -> None:
        """Update the pixels by their gradient; ``iteration`` counts from 1."""
        self._adam.lr = learning_rate(iteration, self._settings.iterations, self._settings.lr)
        self._adam.step()
        with torch.no_grad():
            self._pixels.clamp_(self._least, self._most)


def learning_rate(iteration: int, iterations: int, lr: float) -> float:
    """Return the learning rate of an iteration, counted from 1: half a cosine from ``lr`` to almost 0."""
    return lr * (1 + math.cos(math.pi * (iteration - 1) / iterations)) / 2
