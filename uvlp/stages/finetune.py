"""finetune: train one part of the models on the dataset.

Profile tiny trains all three parts from scratch; the part is the task's plug-in.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

from uvlp.artifacts import captions
from uvlp.artifacts.work import Work


def run(work: Work) -> None:
    """Write one part of `weights` (see `artifacts/weights.py`)."""
    dataset = work.dataset()
    labels = dataset.labels("train")
    images = dataset.images("train", range(len(labels)), work.task.facts["image_px"])
    {"embedder": _embedder, "autoencoder": _autoencoder, "diffuser": _diffuser}[work.task.plugin](
        work, images
    )


def _texts(work: Work) -> tuple[list[str], list[str]]:
    """The captions, and every other text that the tokenizer must know."""
    from uvlp.blocks.prompt_ensemble import prompts

    found = captions.read(work.input("captions"))
    names = [info.name for info in work.dataset().manifest.classes]
    others = [text for name in names for text in prompts(name)]
    return list(found.texts), [*others, *found.prompts.values(), *work.task.facts["further_texts"]]


def _embedder(work: Work, images: numpy.ndarray) -> None:
    from uvlp.models import embedder

    texts, others = _texts(work)
    seed = work.task.facts["seed"]
    embedder.train(images, texts, work.task.settings, seed, work.folder, work.progress, further_texts=others)


def _autoencoder(work: Work, images: numpy.ndarray) -> None:
    from uvlp.models import autoencoder

    autoencoder.train(images, work.task.settings, work.task.facts["seed"], work.folder, work.progress)


def _diffuser(work: Work, images: numpy.ndarray) -> None:
    from uvlp.models import diffuser

    found = captions.read(work.input("captions"))
    parts: dict[str, Path] = {name: work.input(name) for name in ("embedder", "autoencoder")}
    diffuser.train(
        images,
        list(found.texts),
        parts["embedder"],
        parts["autoencoder"],
        work.task.settings,
        work.task.facts["seed"],
        work.folder,
        work.progress,
    )
