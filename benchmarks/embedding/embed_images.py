"""What the two benchmarks of `embed` share: a folder of JPEG files, and the stage run on it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy
from PIL import Image

from uvlp.artifacts import features
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.core.progress import Progress
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes.schema import EmbedSettings
from uvlp.stages import embed

CLASSES = 10
WIDTH_PX, HEIGHT_PX = 500, 375


def write_photographs(root: Path, count: int, classes: int = CLASSES) -> Path:
    """``count`` files of 500 x 375 px in some classes below ``root/train``, and one each below ``root/val``.

    Noise that was enlarged, so that they compress like photographs.
    """
    generator = numpy.random.default_rng(0)
    for number in range(count + classes):
        split, label = ("train", number % classes) if number < count else ("val", number - count)
        folder = root / split / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(generator.integers(0, 256, (24, 32, 3), dtype=numpy.uint8))
        large = small.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BICUBIC)
        large.save(folder / f"{number:06d}.jpg", quality=90)
    return root


def embed_images(
    root: Path,
    models: SimpleNamespace,
    store: Path,
    size_px: int,
    settings: EmbedSettings,
    precision: str = "",
    progress: Progress | None = None,
) -> Path:
    """Run part `images` of the stage on the folder ``root``; the folder with the arrays.

    Args:
        models: paths of the `embedder` and the `autoencoder`.
        precision: of published models; empty for small ones.
        progress: receives an event for every batch.
    """
    facts = {"image_px": size_px} | ({"precision": precision} if precision else {})
    task = Task(
        kind=features.KIND,
        stage="embed",
        plugin="images",
        settings=settings,
        facts=facts,
        dataset_spec=DatasetSpec(name="folder", argument=str(root)),
        origins={"embedder": str(models.embedder), "autoencoder": str(models.autoencoder)},
    )
    opened = Store(store)
    opened.prepare()
    folder = opened.folder(task)
    folder.mkdir(parents=True)
    embed.run(
        Work(
            task=task, folder=folder, store=opened, progress=progress or Progress(), open_dataset=open_dataset
        )
    )
    return folder
