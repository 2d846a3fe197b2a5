"""`tiny-imagenet`: 200 classes of ImageNet at 64 px, 500 training and 50 validation images each.

The archive has all validation images in one folder and their classes in `val_annotations.txt`; they are
named `val/<wnid>/val_0.JPEG` here. A copy whose validation images are already sorted into class folders is
read as it is.

Evaluated as in VLCP (RDED protocol, modified ResNet-18): ``uvlp reproduce tiny-imagenet 10``. The teacher is
trained first, or taken from a file: ``--set teacher.source=FILE``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from uvlp.artifacts.dataset import SPLITS, Dataset, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.core.files.downloads import Download
from uvlp.core.files.lines import read_lines
from uvlp.core.progress import Progress
from uvlp.core.wording import first_few
from uvlp.datasets.files.archive import Archive, archived_size
from uvlp.datasets.files.class_lists import wordnet_classes
from uvlp.datasets.files.folder_remarks import Remarks
from uvlp.datasets.files.folder_scan import Listing, image_names, scan_classes
from uvlp.datasets.files.imagenet_sets import TERMS
from uvlp.datasets.files.named_sets import (
    NamedSet,
    archived_root,
    chosen_variant,
    fetch_archived,
    missing_archive,
    open_listed,
    plan_archived,
)
from uvlp.recipes.evaluation import TeacherSettings
from uvlp.recipes.paper import rded_recipe
from uvlp.recipes.schema import Recipe

REVISION = 1
LICENCE = TERMS
VARIANTS: tuple[str, ...] = ()
NAME = "tiny-imagenet"
IMAGE_PX = 64
INNER = "images"
"""Name of the folder with the images, in each class folder and in val/."""
ANNOTATIONS = "val/val_annotations.txt"
ARCHIVE = Archive(
    url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    md5="90528d7ca1a48142e341f4ef8d21d0de",  # the same in all public loaders of the dataset
    bytes=248_100_043,
    unpacked_bytes=500_000_000,  # 120,000 files, most of them smaller than a disk block
    folder="tiny-imagenet-200",
)
COUNTS = (100_000, 10_000)
EXPECTED = archived_size(ARCHIVE, 200, COUNTS, IMAGE_PX * IMAGE_PX, "the archive's page")


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
    """Open the unpacked archive.

    Raises:
        UvlpError: it is missing, or its classes are not those of the dataset.
    """
    chosen_variant(spec, VARIANTS)
    facts = NamedSet(
        name=NAME,
        source="Stanford CS231n, tiny-imagenet-200.zip",
        classes=wordnet_classes("tinyimagenet"),
        counts=COUNTS,
        strict=True,
        image_px=IMAGE_PX,
    )
    root = archived_root(ARCHIVE, spec)
    if root is None:
        raise missing_archive(facts, ARCHIVE, spec, facts.is_in)
    return open_listed(root, _listing(root, facts), facts, cache, progress)


def download(spec: DatasetSpec) -> Download | None:
    """The download that :func:`fetch` would still make; None if there is none."""
    chosen_variant(spec, VARIANTS)
    return plan_archived(NAME, ARCHIVE, spec)


def fetch(spec: DatasetSpec, progress: Progress) -> None:
    """Download tiny-imagenet-200/ into the data folder.

    Raises:
        UvlpError: no space, no connection, a hash mismatch.
    """
    chosen_variant(spec, VARIANTS)
    fetch_archived(ARCHIVE, spec, progress)


def _listing(root: Path, facts: NamedSet) -> Listing:
    if not (root / ANNOTATIONS).is_file():
        return scan_classes(root, facts.ids, NAME, strict=True, inner=INNER)
    train = scan_classes(root, facts.ids, NAME, strict=True, splits=("train",), inner=INNER)
    classes = _annotations(root / ANNOTATIONS, set(facts.ids))
    remarks = Remarks()
    names = image_names(root, f"val/{INNER}", f"unpack {ARCHIVE.name} again", remarks)
    unknown = [name for name in names if Path(name).name not in classes]
    if unknown:
        raise UvlpError(f"{root / ANNOTATIONS} has no line for {len(unknown)} images", got=first_few(unknown))
    sources = {f"val/{classes[Path(name).name]}/{Path(name).name}": name for name in names}
    groups: dict[str, list[str]] = {identity: [] for identity in facts.ids}
    for name in sources:
        groups[name.split("/")[1]].append(name)
    empty = [identity for identity, images in groups.items() if not images]
    if empty:
        raise UvlpError(f"{NAME}: no validation images of {len(empty)} classes", got=first_few(empty))
    files = dict(zip(SPLITS, (train.files["train"], tuple(map(tuple, groups.values()))), strict=True))
    return replace(train, files=files, sources=sources, notes=(*train.notes, *remarks.notes()))


def _annotations(path: Path, ids: set[str]) -> dict[str, str]:
    """Class by file name; each line has a file name, a class and a box, separated by tabs.

    Raises:
        UvlpError: a malformed line, or a class that is not in the dataset.
    """
    class_of = {}
    for number, line in enumerate(read_lines(path), 1):
        name, *rest = line.split("\t")
        if not rest or rest[0] not in ids:
            raise UvlpError(f"{path}, line {number}", got=line, allowed="file name<TAB>class<TAB>box")
        class_of[name] = rest[0]
    return class_of


TEACHER = TeacherSettings(network="resnet18_modified", published_pct=61.98)  # evaluation.md 3.2


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return rded_recipe(
        "tiny-imagenet",
        ipc,
        size_px=64,  # evaluation.md 3.1
        factor=2,  # VLCP; RDED itself has 1 (evaluation.md 3.1, Q26)
        teacher=TEACHER,
        vlcp_saved_px=64,  # methods.md B.6
    )
