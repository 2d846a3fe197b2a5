"""pixels: the validation images of a dataset, resized once to the networks' input size."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from uvlp.artifacts import pixels
from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.work import Work
from uvlp.core.errors import wrong_return
from uvlp.core.wording import kind_of
from uvlp.declarations.protocol import declared_protocol

if TYPE_CHECKING:
    import numpy

REVISION = 1


def run(work: Work) -> None:
    """Write `pixels`, resized by the task's protocol."""
    from uvlp.protocols.training.images import LazyPixels

    dataset = work.dataset()
    protocol = declared_protocol(work.task.plugin)
    labels, size_px = dataset.labels("val"), work.task.facts["size_px"]
    originals = LazyPixels(partial(dataset.originals, "val"), len(labels))
    images = (
        _checked(protocol.validation_pixels(image, size_px), size_px, protocol.origin.file)
        for image in work.progress.track(originals)
    )
    pixels.write(work.folder, images, labels, size_px, set_name(dataset.manifest))


def _checked(returned: Any, size_px: int, file: str) -> numpy.ndarray:
    """Check what `validation_pixels` of the protocol in ``file`` returned."""
    if str(getattr(returned, "dtype", "")) != "uint8" or returned.shape != (size_px, size_px, 3):
        wanted = f"an ndarray uint8 [{size_px}, {size_px}, 3]"
        raise wrong_return(file, "validation_pixels", wanted, kind_of(returned))
    pixels: numpy.ndarray = returned
    return pixels


def set_name(manifest: DatasetManifest) -> str:
    """The validation set for messages and tables, e.g. ``imagenette (fastai), 10 classes``."""
    variant = f" ({manifest.variant})" if manifest.variant else ""
    return f"{manifest.name}{variant}, {len(manifest.classes)} classes"
