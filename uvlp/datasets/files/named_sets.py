"""Shared code of the published datasets: their folders, errors when they are missing, manifests."""

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

ILSVRC_FOLDERS = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")
"""Folders below --data in which ILSVRC's archives and mirrors have train/ and val/."""
ILSVRC_LAYOUT = "--data DIR with DIR/train/<wnid>/*.JPEG and DIR/val/<wnid>/*.JPEG of ILSVRC-2012"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSet:
    """A published dataset, or one variant of it.

    Attributes:
        name: of the plug-in, with ``-``.
        variant: empty if the dataset has only one.
        source: origin of the images, for the manifest.
        classes: in label order.
        counts: expected numbers of training and validation images; None if unknown.
        strict: whether folders of other classes are an error.
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
        """A note per split whose number of images is not the expected one."""
        return tuple(
            f"{split}/ has {count:,} images, {self.title} has {expected:,}"
            for split, count, expected in zip(SPLITS, (train, val), self.counts, strict=True)
            if expected is not None and count != expected
        )

    def is_in(self, folder: Path) -> bool:
        """Return whether ``folder`` has `train/` and `val/` and at least half of the classes."""
        return has_splits(folder) and self.classes_in(folder / "train")

    def classes_in(self, folder: Path) -> bool:
        """Return whether at least half of the class folders are in ``folder``."""
        return 2 * len({*folder_names(folder)} & {*self.ids}) >= len(self.ids)

    @property
    def title(self) -> str:
        """Name with the variant."""
        return f"{self.name} ({self.variant})" if self.variant else self.name


def chosen_variant(spec: DatasetSpec, variants: Sequence[str]) -> str:
    """The requested variant, by default the first.

    Raises:
        UvlpError: an unknown variant, or an argument after a colon.
    """
    if spec.argument:
        raise UvlpError(
            f"the dataset `{spec.name}` takes nothing after a colon",
            got=spec.argument,
            fix=f"use {spec.name}; choose its folder with --data and its variant with --variant",
        )
    known = variants or ("",)
    if spec.variant and spec.variant not in known:
        allowed = ", ".join(variants) or f"{spec.name} has no variants"
        raise UvlpError("unknown variant of a dataset", got=spec.variant, allowed=allowed)
    return spec.variant or known[0]


def open_archived(
    facts: NamedSet, archive: Archive, spec: DatasetSpec, cache: Path, progress: Progress | None
) -> ImageFolder:
    """Open the folder that :func:`fetch_archived` created, or a copy of it given by `--data`.

    Raises:
        UvlpError: it is missing, or its classes are not those of the dataset.
    """
    root = archived_root(archive, spec)
    if root is None:
        raise missing_archive(facts, archive, spec, facts.is_in)
    listing = scan_classes(root, facts.ids, facts.title, strict=facts.strict)
    return open_listed(root, listing, facts, cache, progress)


def archived_root(archive: Archive, spec: DatasetSpec) -> Path | None:
    """The archive's folder with `train/` and `val/`: in the data folder, or the data folder itself."""
    candidates = (spec.root / archive.folder, spec.root)
    return next((Path(os.path.realpath(folder)) for folder in candidates if has_splits(folder)), None)


def missing_archive(facts: NamedSet, archive: Archive, spec: DatasetSpec, fits: Fits) -> UvlpError:
    """The error for a missing dataset that can be downloaded; ``fits``: whether a folder contains it."""
    what, got = f"the dataset {facts.name} is missing", f"nothing in {spec.root / archive.folder}"
    if advice := did_you_mean(nearby(spec.root, fits), "--data {}"):
        return DatasetElsewhere(what, got=got, fix=advice)
    return UvlpError(
        what,
        got=got,
        fix=f"download it with `uvlp fetch {facts.name}`, or pass its folder with --data "
        f"(the parent folder of {archive.folder}/)",
    )


def plan_archived(name: str, archive: Archive, spec: DatasetSpec) -> Download | None:
    """The download that :func:`fetch_archived` would make; None if the dataset exists."""
    return planned(archive, spec.root, f"dataset {name}") if archived_root(archive, spec) is None else None


def fetch_archived(archive: Archive, spec: DatasetSpec, progress: Progress) -> None:
    """Download and unpack the archive if its folder is missing.

    Raises:
        UvlpError: no space, no connection, a hash mismatch or a damaged archive.
    """
    if archived_root(archive, spec) is not None:
        return
    folder = spec.root / archive.folder
    parents = [path for path in Path(os.path.abspath(spec.root)).parents if path.name == archive.folder]
    if parents and any(parents[0].iterdir()):
        raise UvlpError(
            "the data folder is inside the dataset",
            got=str(spec.root),
            fix=f"use the parent folder of the dataset: --data {show(parents[0].parent)}",
        )
    if folder.exists():
        raise UvlpError(
            "the folder of the dataset exists, but without train/ and val/", got=str(folder), fix="delete it"
        )
    prepare(archive, spec.root, progress)


def open_ilsvrc(facts: NamedSet, spec: DatasetSpec, cache: Path, progress: Progress | None) -> ImageFolder:
    """Open classes of a local ILSVRC-2012 folder.

    Raises:
        UvlpError: the folder or some of its classes are missing.
    """
    root = ilsvrc_root(spec)
    if root is None:
        raise missing_ilsvrc(facts.title, spec, facts.is_in)
    listing = scan_classes(root, facts.ids, facts.title, strict=facts.strict)
    return open_listed(root, listing, facts, cache, progress)


def ilsvrc_root(spec: DatasetSpec) -> Path | None:
    """The folder with ILSVRC's `train/` and `val/`; None if there is none."""
    candidates = (spec.root / inner for inner in ILSVRC_FOLDERS)
    return next((Path(os.path.realpath(folder)) for folder in candidates if has_splits(folder)), None)


def missing_ilsvrc(title: str, spec: DatasetSpec, is_in: Fits) -> UvlpError:
    """The error for a missing dataset that cannot be downloaded automatically."""

    def fits(folder: Path) -> bool:
        return any(is_in(folder / inner) for inner in ILSVRC_FOLDERS)

    advice = did_you_mean(nearby(spec.root, fits), "--data {}")
    return UvlpError(
        f"{title} needs the images of ILSVRC-2012, which cannot be downloaded without an account",
        got=f"no train/ and val/ in {spec.root}",
        allowed=ILSVRC_LAYOUT,
        fix=advice or "get them from image-net.org and set --data (or $UVLP_DATA) to their folder",
    )


def fetch_ilsvrc(title: str, spec: DatasetSpec) -> None:
    """Check that the images exist; they cannot be downloaded.

    Raises:
        UvlpError: the images are missing.
    """
    if ilsvrc_root(spec) is None:
        raise missing_ilsvrc(title, spec, has_splits)


def open_listed(
    root: Path, listing: Listing, facts: NamedSet, cache: Path, progress: Progress | None
) -> ImageFolder:
    """Open the images of a listing: files are hashed but not decoded, so damaged pixels are reported later.

    Raises:
        UvlpError: a file cannot be read, or is not an image.
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
