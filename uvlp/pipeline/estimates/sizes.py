"""Sizes of datasets: counted if present, otherwise as declared by their plug-ins."""

from __future__ import annotations

from collections.abc import Iterator

from uvlp.artifacts.dataset import ClassInfo, DatasetManifest, DatasetSpec
from uvlp.declarations.dataset import declared_dataset
from uvlp.recipes.dataset_size import ILSVRC_PX, DatasetSize
from uvlp.recipes.schema import Recipe


def lookup(recipe: Recipe) -> DatasetSize | None:
    """Return the size that the dataset's plug-in declares for the variant; None if it declares none."""
    dataset = declared_dataset(recipe.dataset.partition(":")[0])
    if isinstance(dataset.expected, DatasetSize):
        return dataset.expected
    known, variants = dataset.expected or {}, dataset.variants or ()
    return known.get(recipe.variant or next(iter(variants), ""))


def of_manifest(manifest: DatasetManifest) -> DatasetSize:
    """Return the size of a dataset that is present; it needs no further disk space."""
    side_px = manifest.image_px
    return DatasetSize(
        classes=len(manifest.classes),
        train=manifest.count("train"),
        val=manifest.count("val"),
        image_pixels=side_px * side_px or ILSVRC_PX,
        disk_bytes=0,
        archive_bytes=0,
        exact=True,
        source="counted here",
    )


def placeholder(spec: DatasetSpec, size: DatasetSize | None) -> DatasetManifest:
    """Return a placeholder manifest of that size, or an empty one, for planning without the dataset."""
    return DatasetManifest(
        name=spec.name,
        argument=spec.argument,
        variant=spec.variant,
        classes=tuple(_classes(size)) if size else (),
        content_hash=f"{spec} is not here",
        image_px=0,
        source=size.source if size else "",
    )


def _classes(size: DatasetSize) -> Iterator[ClassInfo]:
    """Yield classes of equal size; the first also has the remainder."""
    train, val = size.train // size.classes, size.val // size.classes
    rest = size.train % size.classes, size.val % size.classes
    for index in range(size.classes):
        more = rest if index == 0 else (0, 0)
        yield ClassInfo(id=str(index), name=str(index), index=index, train=train + more[0], val=val + more[1])
