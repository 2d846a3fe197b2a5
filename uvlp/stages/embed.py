"""embed: one row of features per training image. Part `clip` or part `latents`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvlp.artifacts import captions, features
from uvlp.artifacts.work import Work
from uvlp.core.seeds import torch_generator

if TYPE_CHECKING:
    import numpy

REVISION = 1


def run(work: Work) -> None:
    """Write one part of `features`: dataset, captions, weights -> arrays."""
    dataset = work.dataset()
    arrays = _clip(work, dataset) if work.task.plugin == "clip" else _latents(work, dataset)
    features.write(work.folder, arrays)


def _batches(work: Work, dataset: Any) -> Any:
    """Pairs of (rows, images uint8 [B, H, W, 3]) over the training set, fixed borders."""
    size, batch = len(dataset.labels("train")), work.task.settings.batch
    for start in work.progress.track(range(0, size, batch)):
        rows = range(start, min(size, start + batch))
        yield rows, dataset.images("train", rows, work.task.facts["image_px"])


def _clip(work: Work, dataset: Any) -> dict[str, numpy.ndarray]:
    import numpy

    from uvlp.blocks.prompt_ensemble import class_prototype, prompts
    from uvlp.models.embedder import Embedder

    embedder = Embedder.load(work.input("embedder"))
    texts = captions.read(work.input("captions")).texts
    work.note({"captions longer than the text encoder reads, their tails cut": embedder.over_long(texts)})
    pairs = [
        (embedder.image_features(images), embedder.text_features([texts[row] for row in rows]))
        for rows, images in _batches(work, dataset)
    ]
    names = [class_prototype(embedder.text_features(prompts(info.name))) for info in dataset.manifest.classes]
    return {
        "image": numpy.concatenate([image for image, _ in pairs]),
        "text": numpy.concatenate([text for _, text in pairs]),
        "names": numpy.stack(names),
    }


def _latents(work: Work, dataset: Any) -> dict[str, numpy.ndarray]:
    """Posterior samples; the noise belongs to the image, not to the batch (methods.md E22)."""
    import numpy

    from uvlp.models.autoencoder import Autoencoder

    autoencoder = Autoencoder.load(work.input("autoencoder"))
    files, seed = dataset.files("train"), work.task.facts["seed"]
    parts = []
    for rows, images in _batches(work, dataset):
        generators = [torch_generator(seed, "posterior", files[row]) for row in rows]
        parts.append(autoencoder.encode(images, generators).numpy())
    return {"latents": numpy.concatenate(parts).astype(numpy.float32)}
