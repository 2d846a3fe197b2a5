"""`imagewoof`: ten dog breeds of ImageNet, from fast.ai's full-size imagewoof2 or an ILSVRC folder.

Evaluated as in UVLP's table (Minimax protocol, three networks): ``uvlp reproduce imagewoof 10``. Classes are
named as in ImageNet. UVLP's published runs swapped the names of the Border terrier and the Australian
terrier (methods.md E5); ``--variant published-names`` is fast.ai's images with the swapped names.
"""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.core.files.downloads import Download
from uvlp.core.progress import Progress
from uvlp.datasets.files.archive import Archive
from uvlp.datasets.files.class_lists import exchanged, wordnet_classes
from uvlp.datasets.files.imagenet_sets import TERMS, FastaiSet, fastai_sizes
from uvlp.recipes.paper import METHODS, minimax_recipe
from uvlp.recipes.schema import Recipe

REVISION = 1
LICENCE = f"fast.ai's repository: Apache-2.0; the images are ImageNet's; {TERMS}"
PUBLISHED_NAMES = "published-names"
VARIANTS = ("fastai", "ilsvrc", PUBLISHED_NAMES)
BORDER_TERRIER, AUSTRALIAN_TERRIER = "n02093754", "n02096294"
SET = FastaiSet(
    name="imagewoof",
    variants=VARIANTS,
    archive=Archive(
        url="https://s3.amazonaws.com/fast-ai-imageclas/imagewoof2.tgz",
        md5="",  # torchvision has no hash of this archive
        bytes=1_343_715_595,  # approximate; fast.ai states 1.25 GiB
        unpacked_bytes=1_400_000_000,
        folder="imagewoof2",
    ),
    counts=(9025, 3929),
    ilsvrc_counts=(12454, 500),  # the first release of imagewoof, which uses ILSVRC's split
)
EXPECTED = fastai_sizes(SET, classes=10)


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
    """Open the requested variant.

    Raises:
        UvlpError: it is missing, or its classes are not those of the dataset.
    """
    classes = wordnet_classes("imagewoof")
    if spec.variant == PUBLISHED_NAMES:
        classes = exchanged(classes, BORDER_TERRIER, AUSTRALIAN_TERRIER)
    return SET.open(spec, cache, progress, classes)


def download(spec: DatasetSpec) -> Download | None:
    """The download that :func:`fetch` would still make; None if there is none."""
    return SET.download(spec)


def fetch(spec: DatasetSpec, progress: Progress) -> None:
    """Download imagewoof2/ into the data folder.

    Raises:
        UvlpError: no space, no connection, a hash mismatch, or a variant that cannot be downloaded.
    """
    SET.fetch(spec, progress)


NETWORKS = ("convnet-6", "resnet-ap-10", "resnet-18")  # evaluation.md 1.1


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return minimax_recipe(
        "imagewoof",
        ipc,
        methods=("full", "k-center", "herding", *METHODS),
        networks=NETWORKS,
        # The authors' captions cover 8,687 of 9,025 images; the other 338 have none (methods.md A.2, E10).
        missing_captions="empty",
    )
