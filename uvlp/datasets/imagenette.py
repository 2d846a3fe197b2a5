"""`imagenette`: ten easy ImageNet classes, from fast.ai's full-size imagenette2 or an ILSVRC folder.

Evaluated as in the tables of VLCP and UVLP (Minimax protocol, ResNetAP-10): ``uvlp reproduce imagenette 10``.
The papers' images may be ILSVRC's (evaluation.md 1.12): ``--variant ilsvrc --data DIR``.
"""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.core.files.downloads import Download
from uvlp.core.progress import Progress
from uvlp.datasets.files.archive import Archive
from uvlp.datasets.files.imagenet_sets import TERMS, FastaiSet, fastai_sizes
from uvlp.recipes.paper import minimax_recipe
from uvlp.recipes.schema import Recipe

REVISION = 1
LICENCE = f"fast.ai's repository: Apache-2.0; the images are ImageNet's; {TERMS}"
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
    ilsvrc_counts=(12894, 500),  # the first release of imagenette, which uses ILSVRC's split
)
EXPECTED = fastai_sizes(SET, classes=10)


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
    """Open the requested variant.

    Raises:
        UvlpError: it is missing, or its classes are not those of the dataset.
    """
    return SET.open(spec, cache, progress)


def download(spec: DatasetSpec) -> Download | None:
    """The download that :func:`fetch` would still make; None if there is none."""
    return SET.download(spec)


def fetch(spec: DatasetSpec, progress: Progress) -> None:
    """Download imagenette2/ into the data folder.

    Raises:
        UvlpError: no space, no connection, a hash mismatch, or a variant that cannot be downloaded.
    """
    SET.fetch(spec, progress)


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return minimax_recipe("imagenette", ipc)
