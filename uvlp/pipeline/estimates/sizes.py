"""Sizes of the named datasets, for estimates made before they are here."""

from __future__ import annotations

from dataclasses import dataclass

from uvlp.artifacts.dataset import ClassInfo, DatasetManifest, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.recipes.schema import Recipe

ILSVRC_PX = 500 * 375
"""A usual ImageNet image."""
GB = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a dataset.

    Attributes:
        classes, train, val: numbers of classes and of images.
        image_pixels: of a usual image.
        disk_bytes: of the images.
        archive_bytes: of what is downloaded; 0 where it is read from a folder that is here.
        exact: whether the counts are, or about so many.
        source: of the numbers.
    """

    classes: int
    train: int
    val: int
    image_pixels: int
    disk_bytes: int
    archive_bytes: int
    exact: bool
    source: str


ILSVRC_BYTES = 110_000
"""Mean size of an ImageNet file: 144 GB of 1,331,167 images."""
FAST_AI = "fast.ai's lists (field_notes.md 1.2)"
ARCHIVE = "the archive's page"


def _ilsvrc(classes: int, train: int, exact: bool) -> Known:
    val = 50 * classes
    return Known(
        classes=classes,
        train=train,
        val=val,
        image_pixels=ILSVRC_PX,
        disk_bytes=(train + val) * ILSVRC_BYTES,
        archive_bytes=0,
        exact=exact,
        source="ILSVRC 2012" if exact else "about 1,300 ILSVRC images per class (methods.md F.1)",
    )


def _archive(
    classes: int, train: int, val: int, pixels: int, disk: int, archive: int, source: str = ARCHIVE
) -> Known:
    return Known(
        classes=classes,
        train=train,
        val=val,
        image_pixels=pixels,
        disk_bytes=disk,
        archive_bytes=archive,
        exact=True,
        source=source,
    )


KNOWN = {
    "digits": _archive(10, 1307, 490, 8 * 8, 0, 0, "scikit-learn's digits, decisions.md"),
    "imagenette": _archive(10, 9469, 3925, ILSVRC_PX, int(1.57 * GB), int(1.56 * GB), FAST_AI),
    "imagewoof": _archive(10, 9025, 3929, ILSVRC_PX, int(1.35 * GB), int(1.34 * GB), FAST_AI),
    "imageidc": _ilsvrc(10, 13_000, exact=False),
    "imagenet100": _ilsvrc(100, 130_000, exact=False),
    "imagenet1k": _ilsvrc(1000, 1_281_167, exact=True),
    "cifar10": _archive(10, 50_000, 10_000, 32 * 32, 184_380_000, 170_052_171),
    "cifar100": _archive(100, 50_000, 10_000, 32 * 32, 184_440_000, 168_513_733),
    "tiny-imagenet": _archive(200, 100_000, 10_000, 64 * 64, int(0.27 * GB), 248_100_043),
}
"""Dataset by the name that recipes call it by, with ``-``."""


OF_ILSVRC = {"imagenette": 12_894, "imagewoof": 12_454}
"""Training images of the same classes in ILSVRC 2012 (fast.ai's first versions); 50 test images a class."""


def lookup(recipe: Recipe) -> Known:
    """What is known of the recipe's dataset by its name and variant.

    Raises:
        UvlpError: it is a folder, of which only the folder itself can tell.
    """
    name = recipe.dataset.partition(":")[0].replace("_", "-")
    if name not in KNOWN:
        do = "name its folder, or choose a named dataset"
        raise UvlpError(f"nothing is known of {recipe.dataset} before it is opened", do=do)
    if recipe.variant == "ilsvrc":
        return _ilsvrc(10, OF_ILSVRC[name], exact=True)
    return KNOWN[name]


def of_manifest(manifest: DatasetManifest) -> Known:
    """The sizes of a dataset that is here; its files take nothing more."""
    side_px = manifest.image_px
    return Known(
        classes=len(manifest.classes),
        train=manifest.count("train"),
        val=manifest.count("val"),
        image_pixels=side_px * side_px or ILSVRC_PX,
        disk_bytes=0,
        archive_bytes=0,
        exact=True,
        source="counted here",
    )


def stand_in(spec: DatasetSpec, known: Known) -> DatasetManifest:
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
