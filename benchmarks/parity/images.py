"""The images that both sides of the study and of the speed benchmark use."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core import plugins
from uvlp.core.progress import Progress
from uvlp.methods import random
from uvlp.methods.algorithms import method_input
from uvlp.protocols import minimax
from uvlp.protocols.training.images import Images, Prepared, prepare


def open_dataset(spec: str) -> Any:
    """``digits`` or ``folder:PATH``."""
    parsed = DatasetSpec.parse(spec)
    with tempfile.TemporaryDirectory() as cache:
        return plugins.load("datasets", parsed.name).open_dataset(parsed, Path(cache))


def training_images(dataset: Any, ipc: int, seed: int) -> Images:
    """What the method `random` chooses."""
    chosen = random.select(method_input.build(dataset, ipc, seed, {}), random.Settings(), Progress())
    rows = [row for rows in chosen for row in rows]
    labels = numpy.asarray(dataset.labels("train"))[rows]
    return Images(pixels=dataset.originals("train", rows), labels=labels)


def validation_images(dataset: Any) -> Images:
    """All validation images, at their original size."""
    labels = numpy.asarray(dataset.labels("val"))
    return Images(pixels=dataset.originals("val", range(len(labels))), labels=labels)


def prepared(images: Images, size_px: int) -> Prepared:
    """The same images prepared for our evaluator as the protocol does."""
    pixels = prepare(images.pixels, size_px, minimax.validation_pixels)
    return Prepared(pixels=pixels, labels=images.labels)
