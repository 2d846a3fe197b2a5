"""Real training images on the device, for methods that compare distilled images with them."""

from __future__ import annotations

import numpy
import torch
from torch import Tensor

from uvlp.core.progress import Progress
from uvlp.methods.algorithms.coresets import random_rows
from uvlp.methods.algorithms.method_input import ClassData, MethodInput
from uvlp.models.device import send
from uvlp.protocols.training.images import LazyPixels, prepare, resize_and_crop


class RealImages:
    """All training images as uint8 [n, 3, S, S] per class, resized and cropped like validation images.

    Args:
        inputs: with ``size_px`` and ``device``.
        progress: reports the images that are read.
    """

    def __init__(self, inputs: MethodInput, progress: Progress) -> None:
        self.device = inputs.device
        self._rows = [data.rows for data in inputs.classes]
        read = [
            _read(data, inputs.size_px).to(inputs.device)
            for data in progress.track(inputs.classes, "read images of classes")
        ]
        counts = [len(images) for images in read]
        self._all = torch.cat(read)
        self._of = self._all.split(counts)  # views
        self._labels = torch.arange(len(read)).repeat_interleave(torch.tensor(counts)).to(inputs.device)

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self._of)

    @property
    def total(self) -> int:
        """The number of images of all classes."""
        return len(self._all)

    def at(self, indices: numpy.ndarray) -> tuple[Tensor, Tensor]:
        """Return images of any class, uint8 [n, 3, S, S], and their labels; counted class after class."""
        chosen = send(indices, self.device)
        return self._all[chosen], self._labels[chosen]

    def of(self, index: int, rows: list[int]) -> Tensor:
        """Return images of a class by their rows in the dataset, uint8 [n, 3, S, S]."""
        place = {row: position for position, row in enumerate(self._rows[index])}
        return self._of[index][[place[row] for row in rows]]

    def draw(self, index: int, count: int, generator: numpy.random.Generator) -> Tensor:
        """Draw different images of a class, all if there are not more than ``count``: uint8 [n, 3, S, S]."""
        images = self._of[index]
        chosen = generator.choice(len(images), size=min(count, len(images)), replace=False)
        return images.index_select(0, send(chosen, self.device))


def _read(data: ClassData, size_px: int) -> Tensor:
    originals = LazyPixels(lambda part: data.originals([data.rows[each] for each in part]), len(data.rows))
    return prepare(originals, size_px, resize_and_crop)


def start_images(inputs: MethodInput, real: RealImages) -> Tensor:
    """Return the images of the method `random` for this seed, uint8 [C * ipc, 3, S, S]."""
    return torch.cat(
        [
            real.of(index, random_rows(data, inputs.ipc, inputs.seed))
            for index, data in enumerate(inputs.classes)
        ]
    )
