"""Sizes of datasets: those that are here, and those that their plug-ins expect."""

from __future__ import annotations

from collections.abc import Iterator

from uvlp.artifacts.dataset import ClassInfo, DatasetManifest, DatasetSpec
from uvlp.declarations.dataset import declared_dataset
from uvlp.recipes.dataset_size import ILSVRC_PX, DatasetSize
from uvlp.recipes.schema import Recipe


def lookup(recipe: Recipe) -> DatasetSize | None:
    """What the plug-in of the recipe's dataset expects, by variant; None where it expects nothing."""
    dataset = declared_dataset(recipe.dataset.partition(":")[0])
    if isinstance(dataset.expected, DatasetSize):
        return dataset.expected
    known, variants = dataset.expected or {}, dataset.variants or ()
    return known.get(recipe.variant or next(iter(variants), ""))


def of_manifest(manifest: DatasetManifest) -> DatasetSize:
    """The sizes of a dataset that is here; its files take nothing more."""
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


def stand_in(spec: DatasetSpec, size: DatasetSize | None) -> DatasetManifest:
    """A manifest of as many images, or of none, to plan with while the dataset is not here."""
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
    """As many images in each class; the first has the rest, too."""
    train, val = size.train // size.classes, size.val // size.classes
    rest = size.train % size.classes, size.val % size.classes
    for index in range(size.classes):
        more = rest if index == 0 else (0, 0)
        yield ClassInfo(id=str(index), name=str(index), index=index, train=train + more[0], val=val + more[1])
