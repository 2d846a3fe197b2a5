"""RDED's images, class by class: candidates, crops, their scores, mosaics (evaluation.md 3.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy
import torch
from torch import Tensor, nn

from uvlp.core.seeds import numpy_generator
from uvlp.methods.algorithms.method_input import ClassData, MethodInput
from uvlp.methods.algorithms.rded_synthesis import crop_losses, mosaics, select_crops
from uvlp.models.device import arithmetic
from uvlp.models.quantise import truncate
from uvlp.protocols.training import patches
from uvlp.protocols.training.augment import denormalise
from uvlp.protocols.training.images import LazyPixels
from uvlp.protocols.training.patches import SizedImages
from uvlp.protocols.training.random_crop import SQUARE, draw_boxes
from uvlp.protocols.training.teacher import load_teacher
from uvlp.recipes import workload

Batch = tuple[list[int], numpy.ndarray]
"""Rows of images, and the images uint8 [n,S,S,3]."""
PIXELS_PER_PASS = {"cpu": 1 << 20, "cuda": workload.PIXELS_PER_PASS}
"""Crops share a pass of the teacher until their images have this many pixels; on a GPU 334 of 224 px."""


class Settings(Protocol):
    """The settings that it reads, those of the method `rded`."""

    @property
    def factor(self) -> int:
        """Crops along a side."""

    @property
    def candidates(self) -> int:
        """Images per class that are scored."""

    @property
    def crops(self) -> int:
        """Crops of each."""

    @property
    def crop_scale(self) -> float:
        """Smallest area of a crop."""


def sample(inputs: MethodInput, settings: Settings, done: int) -> Iterator[Batch]:
    """Yield the images of one class after the other.

    Args:
        inputs: with ``size_px``, ``device`` and the model "teacher".
        settings: of the method.
        done: images of the first classes that are already finished.
    """
    teacher = load_teacher(inputs.models["teacher"]).to(inputs.device)
    for index in range(done // inputs.ipc, len(inputs.classes)):
        rows = list(range(index * inputs.ipc, (index + 1) * inputs.ipc))
        with arithmetic(inputs.device, "tf32", deterministic=True):
            images = class_images(inputs, index, settings, teacher)
        yield rows, truncate(images)


def class_images(inputs: MethodInput, index: int, settings: Settings, teacher: nn.Module) -> Tensor:
    """Return the images of the class at ``index``, float32 [ipc,3,S,S] in [0,1] and slightly beyond."""
    data, size_px = inputs.classes[index], inputs.size_px
    generator = numpy_generator(inputs.seed, "rded", data.id)
    images = _candidates(data, settings.candidates, generator, inputs.device)
    crops = Crops(images, settings, size_px // settings.factor, generator)
    each = max(1, PIXELS_PER_PASS[inputs.device] // (settings.crops * size_px**2))
    losses = [
        crop_losses(teacher, crops.all_of(range(first, min(first + each, len(images)))), index, size_px)
        for first in range(0, len(images), each)
    ]
    chosen = select_crops(torch.cat(losses), inputs.ipc * settings.factor**2).cpu().numpy()
    return denormalise(mosaics(crops.at(*chosen.T), settings.factor, size_px))


def _candidates(data: ClassData, count: int, generator: numpy.random.Generator, device: str) -> SizedImages:
    """Draw ``count`` images of a class, or all in a random order if there are not more."""
    rows = generator.permutation(data.rows)[:count].tolist()
    return SizedImages(
        LazyPixels(lambda part: data.originals([rows[each] for each in part]), len(rows)), device
    )


class Crops:
    """Random square crops of images at their own sizes, cut when they are asked for.

    Args:
        images: M images.
        settings: number of crops of each, and their smallest area.
        side_px: to which crops are resized, bilinearly with antialiasing.
        generator: of the positions.
    """

    def __init__(
        self, images: SizedImages, settings: Settings, side_px: int, generator: numpy.random.Generator
    ) -> None:
        self._images, self._side_px, self._count = images, side_px, settings.crops
        height_px, width_px = (
            numpy.repeat(each, settings.crops) for each in (images.height_px, images.width_px)
        )
        boxes = draw_boxes(generator, height_px, width_px, settings.crop_scale, ratio=SQUARE)
        self._boxes = boxes.reshape(len(images), settings.crops, 4)

    def all_of(self, images: range) -> Tensor:
        """Return all crops of some images, normalised, float32 [n,K,3,s,s]."""
        crops = numpy.tile(numpy.arange(self._count), len(images))
        return self.at(numpy.repeat(images, self._count), crops).unflatten(0, (-1, self._count))

    def at(self, images: numpy.ndarray, crops: numpy.ndarray) -> Tensor:
        """Return the crops with these numbers, int64 [n] each, normalised, float32 [n,3,s,s]."""
        unshuffled = numpy.zeros((len(images), 1), dtype=numpy.int64)
        draws = patches.Draws(
            columns=unshuffled,
            rows=unshuffled,
            box=self._boxes[images, crops],
            flip=numpy.zeros(len(images), dtype=bool),
        )
        return patches.augment(self._images, images, draws, self._side_px, factor=1)
