"""pixels: the validation images of a dataset, brought once to the size that the networks take."""

from __future__ import annotations

from functools import partial

from uvlp.artifacts import pixels
from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.work import Work
from uvlp.declarations.protocol import declared_protocol

REVISION = 1


def run(work: Work) -> None:
    """Write `pixels` by the rule of the protocol named by the task."""
    from uvlp.protocols.training.images import LazyPixels

    dataset = work.dataset()
    protocol = declared_protocol(work.task.plugin)
    labels, size_px = dataset.labels("val"), work.task.facts["size_px"]
    originals = LazyPixels(partial(dataset.originals, "val"), len(labels))
    images = (protocol.validation_pixels(image, size_px) for image in work.progress.track(originals))
    pixels.write(work.folder, images, labels, size_px, set_name(dataset.manifest))


def set_name(manifest: DatasetManifest) -> str:
    """The validation set for people, e.g. ``imagenette (fastai), 10 classes``."""
    variant = f" ({manifest.variant})" if manifest.variant else ""
    return f"{manifest.name}{variant}, {len(manifest.classes)} classes"
