"""`cifar100`: 50,000 training and 10,000 test images of 100 classes at 32 px, from the binary archive."""

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
NAME = "cifar100"
LAYOUT = Layout(
    archive=Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",  # the dataset's own page
        bytes=168_513_733,
        unpacked_bytes=184_500_000,
        folder="cifar-100-binary",
    ),
    files={"train": ("train.bin",), "val": ("test.bin",)},
    label_bytes=2,  # coarse, fine
    names_file="fine_label_names.txt",
)


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
    """Open the unpacked archive.

    Raises:
        UvlpError: it is not there, or not what it should be.
    """
    chosen_variant(spec, VARIANTS)
    facts = NamedSet(
        name=NAME,
        source="University of Toronto, cifar-100-binary.tar.gz",
        classes=numbered_classes(NAME),
        counts=(50_000, 10_000),
    )
    return open_binary(LAYOUT, facts, spec, cache, progress)


def download(spec: DatasetSpec) -> Download | None:
    """What :func:`fetch` would still transfer, None if nothing."""
    chosen_variant(spec, VARIANTS)
    return None if binary_root(LAYOUT, spec) else plan_archived(NAME, LAYOUT.archive, spec)


def fetch(spec: DatasetSpec, progress: Progress) -> None:
    """Put cifar-100-binary/ into the data folder.

    Raises:
        UvlpError: no space, no connection, a wrong hash.
    """
    chosen_variant(spec, VARIANTS)
    if binary_root(LAYOUT, spec) is None:
        fetch_archived(LAYOUT.archive, spec, progress)
