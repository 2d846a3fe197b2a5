"""Size of a dataset as declared by its plug-in, for estimates before it is downloaded."""

from __future__ import annotations

from dataclasses import dataclass

ILSVRC_PX = 500 * 375
"""Pixels of a typical ImageNet image."""
ILSVRC_BYTES = 110_000
"""Mean size of an ImageNet file: 144 GB of 1,331,167 images."""
ILSVRC_IMAGES, ILSVRC_VAL = 1300, 50
"""Approximate number of training images per class, and exact number of validation images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSize:
    """Known size of a dataset.

    Attributes:
        classes, train, val: numbers of classes, training images and validation images.
        image_pixels: pixels of a typical image.
        disk_bytes: disk usage of the images; 0 if they need no further space.
        archive_bytes: size of the download; 0 if there is none.
        exact: whether the counts are exact or approximate.
        source: source of the numbers.
    """

    classes: int
    train: int
    val: int
    image_pixels: int = ILSVRC_PX
    disk_bytes: int = 0
    archive_bytes: int = 0
    exact: bool = True
    source: str = "its plug-in"


def of_ilsvrc(classes: int, train: int | None = None) -> DatasetSize:
    """Return the size of a subset of ILSVRC-2012; ``train``: number of training images, if counted."""
    images = ILSVRC_IMAGES * classes if train is None else train
    about = f"about {ILSVRC_IMAGES:,} ILSVRC images per class (methods.md F.1)"
    return DatasetSize(
        classes=classes,
        train=images,
        val=ILSVRC_VAL * classes,
        disk_bytes=(images + ILSVRC_VAL * classes) * ILSVRC_BYTES,
        exact=train is not None,
        source=about if train is None else "ILSVRC 2012",
    )
