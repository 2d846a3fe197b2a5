"""embed: one row of features per training image.

Part `images`: CLIP features and VAE moments in one streaming pass. Part `texts`: CLIP features of the
captions and the class names. Finished shards survive an interrupted run.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from uvlp.artifacts import captions, features
from uvlp.artifacts.work import Work
from uvlp.core import machine
from uvlp.core.files.row_files import Column, RowFiles
from uvlp.recipes.setting import check_limits

if TYPE_CHECKING:
    import numpy

    from uvlp.models.embedder import Embedder
    from uvlp.models.image_encoder import ImageEncoder, Prepared

REVISION = 2
MOST_THREADS = 32
IMAGES_AHEAD_PER_THREAD = 2
BATCHES_AHEAD = 2
ADVICE = "compute in another dtype: --set models.precision=float32"


def run(work: Work) -> None:
    """Write one part of `features`: dataset, models and captions -> arrays.

    Raises:
        UvlpError: a setting out of range, an unreadable model or image, a value that is not finite, or a disk
            that is too small.
    """
    check_limits(work.task.settings, "embed")
    {"images": _images, "texts": _texts}[work.task.plugin](work)


def _images(work: Work) -> None:
    dataset, encoder = work.dataset(), _encoder(work)
    files, size_px = dataset.files("train"), work.task.facts["image_px"]

    def load(row: int) -> Prepared:
        return encoder.prepare(dataset.images("train", [row], size_px)[0])

    rows = _open(work, encoder.encode(encoder.join([load(0)])), len(files))
    parts = rows.missing(work.task.settings.batch)
    for part, batch in zip(_tracked(work, rows, parts), _stream(encoder, load, parts), strict=True):
        _write(rows, part, encoder.encode(batch), files, ADVICE if work.task.published else None)
    rows.link(work.folder)


def _encoder(work: Work) -> ImageEncoder:
    import torch

    from uvlp.models.autoencoder import Autoencoder
    from uvlp.models.device import torch_dtype
    from uvlp.models.image_encoder import ImageEncoder

    device, facts = machine.device(), work.task.facts
    folder = work.model_path("autoencoder")
    subfolder = "vae" if os.path.isdir(os.path.join(folder, "vae")) else ""
    dtype = torch_dtype(facts.get("precision", "float32"), device)
    return ImageEncoder(
        _embedder(work, device),
        Autoencoder.load(folder, subfolder, device, dtype),
        device,
        # Published latents are in half precision; 1.3 million images of 512 px are 84 GB in it.
        torch.float16 if work.task.published else torch.float32,
        work.progress.log,
    )


def _embedder(work: Work, device: str) -> Embedder:
    from uvlp.models.embedder import Embedder

    tf32 = work.task.settings.clip_precision == "tf32"
    return Embedder.load(work.model_path("embedder"), device, tf32)


def _stream(encoder: ImageEncoder, load: Any, parts: Sequence[range]) -> Iterator[Prepared]:
    """Yield the batches of ``parts``, decoded by several threads and joined by another."""
    from uvlp.core.prefetch import in_background, in_order

    threads = min(MOST_THREADS, len(os.sched_getaffinity(0)))
    rows = itertools.chain.from_iterable(parts)
    images = in_order(load, rows, threads, IMAGES_AHEAD_PER_THREAD * threads)
    joined = (encoder.join(list(itertools.islice(images, len(part)))) for part in parts)
    return in_background(joined, BATCHES_AHEAD)


def _texts(work: Work) -> None:
    import numpy

    from uvlp.methods.algorithms.prompt_ensemble import class_prototype, prompts
    from uvlp.models.batches import in_batches

    embedder, batch = _embedder(work, machine.device()), work.task.settings.batch
    rows_of_captions = captions.read(work.input("captions"))
    work.note(
        {
            "captions longer than the text encoder reads, their tails cut": embedder.over_long(
                rows_of_captions.texts
            )
        }
    )
    classes = work.dataset().manifest.classes
    names = numpy.stack([class_prototype(embedder.text_features(prompts(info.name))) for info in classes])
    rows = _open(work, {"text": names}, len(rows_of_captions.texts))
    for part in _tracked(work, rows, rows.missing(batch)):
        texts = rows_of_captions.texts[part.start : part.stop]
        made = in_batches(embedder.text_features, texts, len(texts), work.progress.log)
        text = numpy.concatenate([array for _, array in made])
        _write(rows, part, {"text": text}, rows_of_captions.files)
    rows.link(work.folder)
    features.write(work.folder, {"names": names})


def _open(work: Work, sample: dict[str, numpy.ndarray], count: int) -> RowFiles:
    """Open the files for ``count`` rows like those of ``sample``."""
    settings = work.task.settings
    columns = {name: Column.of(rows) for name, rows in sample.items()}
    made_by = machine.gpu_name() or "cpu"
    shard = settings.shard * settings.batch
    return RowFiles(work.partial, columns, count, shard, made_by, work.progress.log)


def _tracked(work: Work, rows: RowFiles, parts: Sequence[range]) -> Iterator[range]:
    if rows.finished_rows:
        work.progress.log(f"{rows.finished_rows} rows exist from an earlier run; resuming")
    return work.progress.track(parts)


def _write(
    rows: RowFiles,
    part: range,
    arrays: dict[str, numpy.ndarray],
    files: Sequence[str],
    fix: str | None = None,
) -> None:
    features.check_finite(arrays, files[part.start : part.stop], fix)
    rows.write(part, arrays)
