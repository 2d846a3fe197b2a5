"""finetune: train one part of the models on the dataset.

Profile sd15 fine-tunes the UNet of Stable Diffusion, or a DiT; the others train all parts from scratch.
The part is the task's plug-in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

from uvlp.artifacts import captions
from uvlp.artifacts.features import LATENTS
from uvlp.artifacts.task import read_manifest
from uvlp.artifacts.work import Work, read_notes
from uvlp.core import machine


def run(work: Work) -> None:
    """Write one part of `weights` (see `artifacts/weights.py`)."""
    if work.task.plugin == "stable-diffusion":
        _stable_diffusion(work)
        return
    if work.task.plugin == "difffit":
        _difffit(work)
        return
    dataset = work.dataset()
    labels = dataset.labels("train")
    images = dataset.images("train", range(len(labels)), work.task.facts["image_px"])
    parts = {
        "embedder": _embedder,
        "autoencoder": _autoencoder,
        "diffuser": _diffuser,
        "transformer": _transformer,
    }
    parts[work.task.plugin](work, images)


def _stable_diffusion(work: Work) -> None:
    """Fine-tune on images that are read on demand, never all in memory."""
    from uvlp.models.finetuning import job

    task = work.task
    latents = work.input(LATENTS) if LATENTS in task.inputs else None
    assert task.dataset_spec is not None
    finetuning = job.Job(
        base=work.model_path("diffusion"),
        source=_source(Path(work.model_path("diffusion"))),
        base_sha256=task.facts["models"]["diffusion"],
        captions=str(work.input("captions")),
        dataset=task.dataset_spec,
        dataset_sha256=task.dataset,
        cache=str(work.store.cache),
        settings=task.settings,
        seed=task.facts["seed"],
        precision=task.facts["precision"],
        latents=str(latents or ""),
        folder=str(work.folder),
        partial=str(work.partial),
    )
    job.run(finetuning, work.progress, work.cards)
    if latents is not None:
        work.note(_notes(latents))


def _notes(latents: Path) -> dict[str, int]:
    """Return the notes of the latents, and one if they were made on another type of device."""
    made_on = read_manifest(latents)["made"]["gpu"]
    other = f"fine-tuning from latents of another type of device, {made_on or 'a processor'}"
    return {**read_notes(latents), other: int(made_on != machine.gpu_name())}


def _source(folder: Path) -> str:
    """Repository and commit of a folder in the Hugging Face cache, else a fixed text."""
    if folder.parent.name != "snapshots":
        return "a folder on the machine that trained"
    repository = folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    return f"{repository}, revision {folder.name}"


def _texts(work: Work) -> tuple[list[str], list[str]]:
    """The captions, and all other texts that the tokenizer must cover."""
    from uvlp.methods.algorithms.prompt_ensemble import prompts

    stored = captions.read(work.input("captions"))
    names = [info.name for info in work.dataset().manifest.classes]
    others = [text for name in names for text in prompts(name)]
    return list(stored.texts), [*others, *stored.prompts.values(), *work.task.facts["further_texts"]]


def _embedder(work: Work, images: numpy.ndarray) -> None:
    from uvlp.models import embedder

    texts, others = _texts(work)
    seed = work.task.facts["seed"]
    embedder.train(images, texts, work.task.settings, seed, work.folder, work.progress, others, work.partial)


def _autoencoder(work: Work, images: numpy.ndarray) -> None:
    from uvlp.models import autoencoder

    seed = work.task.facts["seed"]
    autoencoder.train(images, work.task.settings, seed, work.folder, work.progress, work.partial)


def _diffuser(work: Work, images: numpy.ndarray) -> None:
    from uvlp.models import diffuser

    stored = captions.read(work.input("captions"))
    parts: dict[str, Path] = {name: work.input(name) for name in ("embedder", "autoencoder")}
    diffuser.train(
        images,
        list(stored.texts),
        parts["embedder"],
        parts["autoencoder"],
        work.task.settings,
        work.task.facts["seed"],
        work.folder,
        work.progress,
        work.partial,
    )


def _transformer(work: Work, images: numpy.ndarray) -> None:
    from uvlp.models.dit import transformer

    dataset = work.dataset()
    transformer.train(
        images,
        dataset.labels("train"),
        len(dataset.manifest.classes),
        work.input("autoencoder"),
        work.task.settings,
        work.task.facts["seed"],
        work.folder,
        work.progress,
        work.partial,
    )


def _difffit(work: Work) -> None:
    """Fine-tune on images that are read on demand, never all in memory."""
    from uvlp.models.dit import crop, difffit

    dataset, facts = work.dataset(), work.task.facts
    model = Path(work.model_path("transformer"))

    def read(rows: Sequence[int]) -> numpy.ndarray:
        if "labels" not in facts:
            return dataset.images("train", rows, facts["image_px"])
        return crop.cropped(dataset.originals("train", rows), crop.side_px(model))

    images = difffit.Images(
        read=read,
        classes=dataset.labels("train"),
        labels=facts.get("labels") or range(len(dataset.manifest.classes)),
    )
    difffit.train(images, model, work.task.settings, facts["seed"], work.folder, work.progress, work.partial)
