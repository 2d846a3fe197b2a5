"""`imagenette`: ten easy classes of ImageNet, fast.ai's imagenette2 at full size, or of an ILSVRC folder."""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts.dataset_manifest import Dataset, DatasetSpec
from uvlp.blocks.archive import Archive
from uvlp.blocks.fastai_sets import FastaiSet
from uvlp.core.downloads import Download
from uvlp.core.progress import Progress

REVISION = 1
VARIANTS = ("fastai", "ilsvrc")
SET = FastaiSet(
    name="imagenette",
    variants=VARIANTS,
    archive=Archive(
        url="https://s3.amazonaws.com/fast-ai-imageclas/imagenette2.tgz",
        md5="fe2fc210e6bb7c5664d602c3cd71e612",  # torchvision.datasets.Imagenette, "full"
        bytes=1_557_161_267,
        unpacked_bytes=1_600_000_000,
        folder="imagenette2",
    ),
    counts=(9469, 3925),  # fast.ai's split of December 2019
    ilsvrc_counts=(12894, 500),  # imagenette's first version, which is ILSVRC's split
)


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
    """Open the version asked for.

    Raises:
        UvlpError: it is not there, or has other classes.
    """
    return SET.open(spec, cache, progress)


def download(spec: DatasetSpec) -> Download | None:
    """What :func:`fetch` would still transfer, None if nothing."""
    return SET.download(spec)


def fetch(spec: DatasetSpec, progress: Progress) -> None:
    """Put imagenette2/ into the data folder.

    Raises:
        UvlpError: no space, no connection, a wrong hash; or the version cannot be downloaded.
    """
    SET.fetch(spec, progress)
