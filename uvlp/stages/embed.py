"""embed: one row of features per training image.

Part `images`: CLIP features and VAE moments in one streaming pass. Part `texts`: CLIP features of the
captions and the class names. Both are made in parts, which several jobs can share and which survive an
interrupted run.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from uvlp.artifacts import captions, features
from uvlp.artifacts.parts import arrays
from uvlp.artifacts.parts.parts import SPLITS, Parts, Plan
from uvlp.artifacts.work import Work
from uvlp.core import machine
from uvlp.core.files.disk_space import check_space
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
LARGER_DISK = "free some space or choose another folder with --store; finished artifacts are kept"


def run(work: Work) -> None:
    """Write one part of `features`, or a share of its rows: dataset, models and captions -> arrays.

    Raises:
        UvlpError: a setting out of range, an unreadable model or image, a value that is not finite, or a disk
            that is too small.
    """
    check_limits(work.task.settings, "embed")
    {"images": _images, "texts": _texts}[work.task.plugin](work)


def _images(work: Work) -> None:
    dataset, size_px = work.dataset(), work.task.facts["image_px"]
    files = dataset.files("train")
    parts, plan = _begin(work, len(files))
    missing = work.missing(parts, plan, "rows")
    if missing:
        encoder = _encoder(work)

        def load(row: int) -> Prepared:
            return encoder.prepare(dataset.images("train", [row], size_px)[0])

        fix = ADVICE if work.task.published else None
        batches = [rows for part in missing for rows in plan.batches(part)]
        loaded = _stream(encoder, load, batches)

        def encode(rows: range, counts: Counter[str]) -> dict[str, numpy.ndarray]:
            before, made = encoder.splits, encoder.encode(next(loaded))
            counts[SPLITS] += encoder.splits - before
            features.check_finite(made, files[rows.start : rows.stop], fix)
            return made

        _make(work, parts, plan, missing, encode)
    if work.share.publishes:
        _publish(work, parts, plan, features.PARTS["images"])
        work.note(parts.counts())


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


def _stream(encoder: ImageEncoder, load: Any, batches: Sequence[range]) -> Iterator[Prepared]:
    """Yield the images of ``batches``, decoded by several threads and joined by another."""
    from uvlp.core.prefetch import in_background, in_order

    threads = min(MOST_THREADS, len(os.sched_getaffinity(0)))
    every = itertools.chain.from_iterable(batches)
    images = in_order(load, every, threads, IMAGES_AHEAD_PER_THREAD * threads)
    joined = (encoder.join(list(itertools.islice(images, len(rows)))) for rows in batches)
    return in_background(joined, BATCHES_AHEAD)


def _texts(work: Work) -> None:
    stored = captions.read(work.input("captions"))
    parts, plan = _begin(work, len(stored.texts))
    missing = work.missing(parts, plan, "rows")
    if not missing and not work.share.publishes:
        return
    embedder = _embedder(work, machine.device())

    def encode(rows: range, counts: Counter[str]) -> dict[str, numpy.ndarray]:
        import numpy

        from uvlp.models.batches import in_halves

        halves = in_halves(embedder.text_features, stored.texts[rows.start : rows.stop], work.progress.log)
        counts[SPLITS] += len(halves) - 1
        made = {"text": numpy.concatenate(halves)}
        features.check_finite(made, stored.files[rows.start : rows.stop])
        return made

    _make(work, parts, plan, missing, encode)
    if work.share.publishes:
        _publish(work, parts, plan, ["text"])
        features.write(work.folder, {"names": _names(work, embedder)})
        cut = embedder.over_long(stored.texts)
        work.note({"captions longer than the text encoder reads, their tails cut": cut, **parts.counts()})


def _names(work: Work, embedder: Embedder) -> numpy.ndarray:
    """Return the prototype of every class name, float32 [C, D]."""
    import numpy

    from uvlp.methods.algorithms.prompt_ensemble import class_prototype, prompts

    names = [info.name for info in work.dataset().manifest.classes]
    return numpy.stack([class_prototype(embedder.text_features(prompts(name))) for name in names])


def _begin(work: Work, count: int) -> tuple[Parts, Plan]:
    from uvlp.models.device import device_and_dtype

    settings, parts = work.task.settings, work.parts()
    device, dtype = device_and_dtype(work.task.facts.get("precision", "float32"))
    size = settings.shard * settings.batch
    plan = Plan(items=count, batch=settings.batch, size=size, device=device, dtype=dtype)
    return parts, parts.begin(plan)


def _make(
    work: Work,
    parts: Parts,
    plan: Plan,
    missing: Sequence[range],
    encode: Callable[[range, Counter[str]], dict[str, numpy.ndarray]],
) -> None:
    """Make parts from batches of rows; ``encode`` also counts the splits of a batch."""
    tracked = work.progress.track([rows for part in missing for rows in plan.batches(part)])

    def checked(rows: range, counts: Counter[str]) -> dict[str, numpy.ndarray]:
        made = encode(rows, counts)
        if rows.start == missing[0].start:
            needed = sum(map(len, missing)) * sum(array[0].nbytes for array in made.values())
            check_space("the features", work.partial, needed, LARGER_DISK)
        return made

    for part in missing:
        with parts.making(part, plan) as unfinished:
            of_part = itertools.islice(tracked, len(plan.batches(part)))
            made = (checked(rows, unfinished.counts) for rows in of_part)
            arrays.write_batches(unfinished.folder, len(part), made)
    next(tracked, None)  # reports the end


def _publish(work: Work, parts: Parts, plan: Plan, names: Sequence[str]) -> None:
    folders = [parts.folder(part.start) for part in plan.parts(work.share)]
    arrays.publish(folders, work.folder, names)
