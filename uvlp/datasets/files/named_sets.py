"""What the published datasets share: where they lie, what is wrong when they do not, their manifests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uvlp.artifacts.dataset import SPLITS, DatasetElsewhere, DatasetManifest, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.core.files.downloads import Download
from uvlp.core.progress import Progress
from uvlp.datasets.files.archive import Archive, planned, prepare
from uvlp.datasets.files.class_lists import ClassName
from uvlp.datasets.files.folder_captions import find_captions, unread_captions
from uvlp.datasets.files.folder_scan import Listing, has_splits, scan_classes
from uvlp.datasets.files.image_folder import ImageFolder, class_infos, hash_content
from uvlp.datasets.files.images.sizes import size_notes
from uvlp.datasets.files.nearby_folders import Fits, did_you_mean, folder_names, nearby, show

ILSVRC_PLACES = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")
"""Where ILSVRC's archives and their mirrors put train/ and val/, below --data."""
ILSVRC_LAYOUT = "--data DIR with DIR/train/<wnid>/*.JPEG and DIR/val/<wnid>/*.JPEG of ILSVRC-2012"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSet:
    """A published dataset, or one version of it.

    Attributes:
        name: plug-in, with ``-``.
        variant: which version; empty where there is one.
        source: where the images come from, in words.
        classes: in label order.
        counts: known numbers of training and validation images; None: not known.
        strict: folders of other classes are an error.
        image_px: side of the images if all are squares of one size, else 0.
    """

    name: str
    variant: str = ""
    source: str
    classes: tuple[ClassName, ...]
    counts: tuple[int | None, int | None] = (None, None)
    strict: bool = False
    image_px: int = 0

    @property
    def ids(self) -> tuple[str, ...]:
        """Folder names, in label order."""
        return tuple(entry.id for entry in self.classes)

    def remarks(self, train: int, val: int) -> tuple[str, ...]:
        """A line per split whose number of images is not the known one."""
        return tuple(
            f"{split}/ has {found:,} images, {self.title} has {known:,}"
            for split, found, known in zip(SPLITS, (train, val), self.counts, strict=True)
            if known is not None and found != known
        )

    def lies_in(self, folder: Path) -> bool:
        """Whether ``folder`` holds `train/` and `val/` with half of the classes or more."""
        return has_splits(folder) and self.classes_in(folder / "train")

    def classes_in(self, folder: Path) -> bool:
        """Whether half of the class folders or more lie in ``folder``."""
        return 2 * len({*folder_names(folder)} & {*self.ids}) >= len(self.ids)

    @property
    def title(self) -> str:
        """Name with the version."""
        return f"{self.name} ({self.variant})" if self.variant else self.name


def chosen_variant(spec: DatasetSpec, variants: Sequence[str]) -> str:
    """The version asked for, the first if none was; nothing may stand behind a colon.

    Raises:
        UvlpError: something does, or there is no such version.
    """
    if spec.argument:
        raise UvlpError(
            f"the dataset `{spec.name}` takes nothing after a colon",
            got=spec.argument,
            fix=f"write {spec.name}; --data says where it lies, --variant which version it is",
        )
    known = variants or ("",)
    if spec.variant and spec.variant not in known:
        allowed = ", ".join(variants) or f"{spec.name} has one version only"
        raise UvlpError("unknown variant of a dataset", got=spec.variant, allowed=allowed)
    return spec.variant or known[0]


def open_archived(
    facts: NamedSet, archive: Archive, spec: DatasetSpec, cache: Path, progress: Progress | None
) -> ImageFolder:
    """Open what :func:`fetch_archived` made, or the same folder wherever `--data` points.

    Raises:
        UvlpError: it is not there, or has other classes.
    """
    root = archived_root(archive, spec)
    if root is None:
        raise missing_archive(facts, archive, spec, facts.lies_in)
    listing = scan_classes(root, facts.ids, facts.title, strict=facts.strict)
    return open_listed(root, listing, facts, cache, progress)


def archived_root(archive: Archive, spec: DatasetSpec) -> Path | None:
    """The archive's folder with `train/` and `val/`, below the data folder or the data folder itself."""
    places = (spec.root / archive.folder, spec.root)
    return next((Path(os.path.realpath(place)) for place in places if has_splits(place)), None)


def missing_archive(facts: NamedSet, archive: Archive, spec: DatasetSpec, fits: Fits) -> UvlpError:
    """The error for a dataset that can be fetched and is not there; ``fits``: whether a folder holds it."""
    what, got = f"the dataset {facts.name} is not there", f"nothing in {spec.root / archive.folder}"
    if advice := did_you_mean(nearby(spec.root, fits), "--data {}"):
        return DatasetElsewhere(what, got=got, fix=advice)
    return UvlpError(
        what,
        got=got,
        fix=f"fetch it with `uvlp fetch {facts.name}`, or say where it lies with --data "
        f"(the folder above {archive.folder}/)",
    )


def plan_archived(name: str, archive: Archive, spec: DatasetSpec) -> Download | None:
    """What :func:`fetch_archived` would transfer; None if the dataset is there."""
    return planned(archive, spec.root, f"dataset {name}") if archived_root(archive, spec) is None else None


def fetch_archived(archive: Archive, spec: DatasetSpec, progress: Progress) -> None:
    """Download and unpack what is not there.

    Raises:
        UvlpError: no space, no connection, a wrong hash or a damaged archive.
    """
    if archived_root(archive, spec) is not None:
        return
    folder = spec.root / archive.folder
    above = [place for place in Path(os.path.abspath(spec.root)).parents if place.name == archive.folder]
    if above and any(above[0].iterdir()):
        raise UvlpError(
            "the data folder lies inside the dataset",
            got=str(spec.root),
            fix=f"name the folder above it: --data {show(above[0].parent)}",
        )
    if folder.exists():
        raise UvlpError("a folder of a dataset without the dataset", got=str(folder), fix="delete it first")
    prepare(archive, spec.root, progress)


def open_ilsvrc(facts: NamedSet, spec: DatasetSpec, cache: Path, progress: Progress | None) -> ImageFolder:
    """Open classes of a local ILSVRC-2012 folder.

    Raises:
        UvlpError: there is none, or classes are missing in it.
    """
    root = ilsvrc_root(spec)
    if root is None:
        raise missing_ilsvrc(facts.title, spec, facts.lies_in)
    listing = scan_classes(root, facts.ids, facts.title, strict=facts.strict)
    return open_listed(root, listing, facts, cache, progress)


def ilsvrc_root(spec: DatasetSpec) -> Path | None:
    """The folder with ILSVRC's `train/` and `val/`."""
    places = (spec.root / place for place in ILSVRC_PLACES)
    return next((Path(os.path.realpath(place)) for place in places if has_splits(place)), None)


def missing_ilsvrc(title: str, spec: DatasetSpec, lies_in: Fits) -> UvlpError:
    """The error for a dataset that nobody may hand out and that is not there."""

    def fits(folder: Path) -> bool:
        return any(lies_in(folder / place) for place in ILSVRC_PLACES)

    advice = did_you_mean(nearby(spec.root, fits), "--data {}")
    return UvlpError(
        f"{title} needs the images of ILSVRC-2012, which cannot be downloaded without an account",
        got=f"no train/ and val/ in {spec.root}",
        allowed=ILSVRC_LAYOUT,
        fix=advice or "get them from image-net.org and point --data (or $UVLP_DATA) to them",
    )


def fetch_ilsvrc(title: str, spec: DatasetSpec) -> None:
    """Nothing can be fetched.

    Raises:
        UvlpError: the images are not there.
    """
    if ilsvrc_root(spec) is None:
        raise missing_ilsvrc(title, spec, has_splits)


def open_listed(
    root: Path, listing: Listing, facts: NamedSet, cache: Path, progress: Progress | None
) -> ImageFolder:
    """The dataset of a listing, hashed but not decoded: damaged pixels are found where they are read.

    Raises:
        UvlpError: a file cannot be read, or is no image.
    """
    classes = class_infos(listing, facts.classes)
    counts = (sum(entry.train for entry in classes), sum(entry.val for entry in classes))
    content = hash_content(root, listing, facts.classes, cache, progress or Progress())
    sizes = size_notes(root, listing, facts.name.replace("-", ""), cache, content.sha256)
    manifest = DatasetManifest(
        name=facts.name,
        argument="",
        variant=facts.variant,
        classes=classes,
        content_hash=content.sha256,
        image_px=0 if sizes else facts.image_px,
        source=facts.source,
        notes=(
            *facts.remarks(*counts),
            *listing.notes,
            *unread_captions(root, find_captions(root, listing)),
        ),
        caveats=sizes,
    )
    return ImageFolder(root, listing, manifest, content, published=True)
