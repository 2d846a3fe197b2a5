"""`imagenette`: ten easy classes of ImageNet, fast.ai's imagenette2 at full size, or of an ILSVRC folder.

Scored as in the tables of VLCP and UVLP (Minimax protocol, ResNetAP-10): ``uvlp reproduce imagenette 10``.
The papers' images may be ILSVRC's (evaluation.md 1.12): ``--variant ilsvrc --data DIR``.
"""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.core.files.downloads import Download
from uvlp.core.progress import Progress
from uvlp.datasets.files.archive import Archive
from uvlp.datasets.files.imagenet_sets import FastaiSet, fastai_sizes
from uvlp.recipes.paper import minimax_recipe
from uvlp.recipes.schema import Recipe

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
EXPECTED = fastai_sizes(SET, classes=10)


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


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return minimax_recipe("imagenette", ipc)
