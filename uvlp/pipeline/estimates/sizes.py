"""Sizes of datasets: those that are here, and those that their plug-ins expect."""

from __future__ import annotations

from uvlp.artifacts.dataset import ClassInfo, DatasetManifest, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.declarations.dataset import declared_dataset
from uvlp.recipes.dataset_size import ILSVRC_PX, DatasetSize
from uvlp.recipes.schema import Recipe


def lookup(recipe: Recipe) -> DatasetSize:
    """What the plug-in of the recipe's dataset expects, by variant.

    Raises:
        UvlpError: it expects nothing: of a folder only the folder itself can tell.
    """
    dataset = declared_dataset(recipe.dataset.partition(":")[0])
    if isinstance(dataset.expected, DatasetSize):
        return dataset.expected
    known, variants = dataset.expected or {}, dataset.variants or ()
    variant = recipe.variant or next(iter(variants), "")
    if variant not in known:
        do = "name its folder, or choose a named dataset"
        raise UvlpError(f"nothing is known of {recipe.dataset} before it is opened", do=do)
    return known[variant]


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


def stand_in(spec: DatasetSpec, known: DatasetSize) -> DatasetManifest:
    """A manifest of as many images, to plan with while the dataset is not here."""
    counts = [(known.train // known.classes, known.val // known.classes)] * known.classes
    rest = known.train - sum(train for train, _ in counts), known.val - sum(val for _, val in counts)
    counts[0] = counts[0][0] + rest[0], counts[0][1] + rest[1]
    classes = tuple(
        ClassInfo(id=str(index), name=str(index), index=index, train=train, val=val)
        for index, (train, val) in enumerate(counts)
    )
    return DatasetManifest(
        name=spec.name,
        argument=spec.argument,
        variant=spec.variant,
        classes=classes,
        content_hash=f"{spec} is not here",
        image_px=0,
        source=known.source,
    )
