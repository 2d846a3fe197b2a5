"""`cifar10`: 50,000 training and 10,000 test images of ten classes at 32 px, from the binary archive."""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts.dataset_manifest import Dataset, DatasetSpec
from uvlp.blocks.archive import Archive
from uvlp.blocks.binary_images import Layout, binary_root, open_binary
from uvlp.blocks.class_lists import numbered_classes
from uvlp.blocks.named_sets import NamedSet, chosen_variant, fetch_archived, plan_archived
from uvlp.core.downloads import Download
from uvlp.core.progress import Progress

VARIANTS: tuple[str, ...] = ()
NAME = "cifar10"
LAYOUT = Layout(
    archive=Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",  # the dataset's own page
        bytes=170_052_171,
        unpacked_bytes=184_400_000,
        folder="cifar-10-batches-bin",
    ),
    files={
        "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "val": ("test_batch.bin",),
    },
    label_bytes=1,
    names_file="batches.meta.txt",
)


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
    """Open the unpacked archive.

    Raises:
        UvlpError: it is not there, or not what it should be.
    """
    chosen_variant(spec, VARIANTS)
    facts = NamedSet(
        name=NAME,
        source="University of Toronto, cifar-10-binary.tar.gz",
        classes=numbered_classes(NAME),
        counts=(50_000, 10_000),
    )
    return open_binary(LAYOUT, facts, spec, cache, progress)


def download(spec: DatasetSpec) -> Download | None:
    """What :func:`fetch` would still transfer, None if nothing."""
    chosen_variant(spec, VARIANTS)
    return None if binary_root(LAYOUT, spec) else plan_archived(NAME, LAYOUT.archive, spec)


def fetch(spec: DatasetSpec, progress: Progress) -> None:
    """Put cifar-10-batches-bin/ into the data folder.

    Raises:
        UvlpError: no space, no connection, a wrong hash.
    """
    chosen_variant(spec, VARIANTS)
    if binary_root(LAYOUT, spec) is None:
        fetch_archived(LAYOUT.archive, spec, progress)
