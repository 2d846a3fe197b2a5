"""How large a dataset is, as its plug-in expects it: for estimates that are made before it is here."""

from __future__ import annotations

from dataclasses import dataclass

ILSVRC_PX = 500 * 375
"""A usual ImageNet image."""
ILSVRC_BYTES = 110_000
"""Mean size of an ImageNet file: 144 GB of 1,331,167 images."""
ILSVRC_IMAGES, ILSVRC_VAL = 1300, 50
"""About so many training images per class, and exactly so many validation images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSize:
    """What is known of a dataset.

    Attributes:
        classes, train, val: numbers of classes and of images.
        image_pixels: of a usual image.
        disk_bytes: of the images; 0 where they take nothing more.
        archive_bytes: of what is downloaded; 0 where nothing is.
        exact: whether the counts are, or about so many.
        source: of the numbers.
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
    """So many classes of a local ILSVRC-2012 folder; ``train``: training images, where they were counted."""
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
