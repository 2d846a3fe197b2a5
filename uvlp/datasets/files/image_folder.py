"""A dataset of image files in `train/<class>/` and `val/<class>/`, with optional captions."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts.dataset import SPLITS, ClassInfo, DatasetManifest, recall, remember
from uvlp.core.errors import UvlpError
from uvlp.core.files.lines import read_lines
from uvlp.core.files.unicode_form import nfc
from uvlp.core.hashing import digest, unchanged_during
from uvlp.core.prefetch import in_order
from uvlp.core.progress import Progress
from uvlp.core.wording import first_few
from uvlp.datasets.files.class_lists import ClassName
from uvlp.datasets.files.folder_captions import (
    caption_hashes,
    find_captions,
    look_up_captions,
    read_captions,
    unread_captions,
)
from uvlp.datasets.files.folder_hashes import Hashed, hash_groups, sha256_of
from uvlp.datasets.files.folder_remarks import others_note
from uvlp.datasets.files.folder_scan import Listing, scan
from uvlp.datasets.files.images import image_files
from uvlp.datasets.files.images.sizes import published_list, size_notes

if TYPE_CHECKING:
    import numpy

NAMES = "classes.tsv"


@dataclass(frozen=True, slots=True)
class Content:
    """The hashes of a dataset's content.

    Attributes:
        sha256: hexadecimal, over images, file and class names, labels, captions and the reader's revision.
        images: per split the hashes of the files, in the order of the listing (`folder_hashes.Hashed`).
        captions: the hashes of the caption files, by the groups of `CaptionFiles`.
    """

    sha256: str
    images: Mapping[str, bytes]
    captions: Mapping[str, Hashed]

    def of(self, split: str, indices: Iterable[int]) -> list[str]:
        """The hashes of the images at ``indices``."""
        return [sha256_of(self.images[split], index) for index in indices]


class ImageFolder:
    """The dataset below ``root`` (see `artifacts/dataset.py` for its interface).

    Args:
        root: the folder.
        listing: its classes and images.
        manifest: describes them.
        content: the hashes of its files; all bytes read are compared with them.
        published: whether it is a published dataset; its captions may cover other images too.
    """

    def __init__(
        self,
        root: Path,
        listing: Listing,
        manifest: DatasetManifest,
        content: Content,
        *,
        published: bool = False,
    ) -> None:
        self._root, self._listing, self.manifest = root, listing, manifest
        self._content, self._published = content, published

    @cached_property
    def _files(self) -> dict[str, tuple[str, ...]]:
        return {split: tuple(itertools.chain.from_iterable(self._listing.files[split])) for split in SPLITS}

    def files(self, split: str) -> tuple[str, ...]:
        """Names below the root, e.g. ``train/cat/1.png``."""
        return self._files[split]

    def labels(self, split: str) -> tuple[int, ...]:
        """Class index of every file."""
        return tuple(label for label, names in enumerate(self._listing.files[split]) for _ in names)

    def images(self, split: str, indices: Sequence[int], size_px: int) -> numpy.ndarray:
        """uint8 [N, size_px, size_px, 3], squashed to a square."""
        return image_files.load_squashed(
            self._paths(split, indices), size_px, self._content.of(split, indices)
        )

    def originals(self, split: str, indices: Sequence[int]) -> list[numpy.ndarray]:
        """uint8 [H, W, 3] each, at their stored size."""
        return image_files.load_originals(self._paths(split, indices), self._content.of(split, indices))

    def stored(self, split: str) -> list[tuple[Path, str]]:
        """Path and hexadecimal SHA-256 of every file, for an archive of them (`staging/archives.py`)."""
        every = range(len(self.files(split)))
        return list(zip(self._paths(split, every), self._content.of(split, every), strict=True))

    def captions(self) -> Mapping[str, str] | None:
        """Caption by name below `train/`; None if there are no captions."""
        files = find_captions(self._root, self._listing)
        if not files:
            return None
        with unchanged_during(self._root, caption_hashes(self._root, files, self._content.captions)):
            if self._published:
                captions = look_up_captions(self._root, files, self.files("train"))
            else:
                captions = read_captions(self._root, files, self._listing)
        # Files beside the images without any caption belong to another program.
        return captions.texts if captions.texts or files.tables else None

    def _paths(self, split: str, indices: Sequence[int]) -> list[Path]:
        names = self.files(split)
        return [self._root / self._listing.source(names[index]) for index in indices]


def open_image_folder(root: Path, argument: str, cache: Path, progress: Progress) -> ImageFolder:
    """Open ``root``; every file is hashed and decoded once, later only its size and times are read.

    Args:
        argument: the path as the user wrote it, for the manifest.
        cache: folder for hashes and manifests.

    Raises:
        UvlpError: the layout, an image, the class names or the captions are invalid.
    """
    root = Path(os.path.realpath(root))
    listing = scan(root)
    names = class_names(root, listing.classes)
    classes = [ClassName(identity, name, name) for identity, name in names.items()]
    described = Described(name="folder", argument=argument, source="a folder of image files")
    return open_decoded(root, listing, classes, described, cache, progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a manifest says of a dataset beside its content; see `DatasetManifest`."""

    name: str
    argument: str
    source: str
    notes: tuple[str, ...] = ()


def open_decoded(
    root: Path,
    listing: Listing,
    classes: Sequence[ClassName],
    described: Described,
    cache: Path,
    progress: Progress,
) -> ImageFolder:
    """Open the images of a listing; every file is hashed and decoded once.

    Raises:
        UvlpError: an image or the captions are invalid.
    """
    content = hash_content(root, listing, classes, cache, progress)
    remembered = cache / f"{described.name}-{content.sha256[:16]}.json"
    manifest = recall(remembered, content.sha256)
    if manifest is None:
        manifest = _make_manifest(root, listing, classes, content, described, progress)
        remember(remembered, manifest)
    captions = find_captions(root, listing)
    unused = others_note(len(listing.others) - captions.beside_images())
    own = (*described.notes, *manifest.notes)
    notes = (*own, *listing.notes, *unused, *unread_captions(root, captions))
    stem = published_list(listing.classes)
    caveats = size_notes(root, listing, stem, cache, content.sha256) if stem else ()
    manifest = replace(
        manifest, argument=described.argument, source=described.source, notes=notes, caveats=caveats
    )
    return ImageFolder(root, listing, manifest, content)


def class_names(root: Path, ids: Sequence[str]) -> dict[str, str]:
    """Readable name by class id: from `classes.tsv` if it exists, else the id with spaces for ``_``.

    Raises:
        UvlpError: a line is malformed, its class has no folder or another line, or a class has no line.
    """
    path = root / NAMES
    if not os.path.lexists(path):
        return {name: name.replace("_", " ") for name in ids}
    name_of: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
        identity, _, name = nfc(line).partition("\t")
        if not identity or not name.strip():
            raise UvlpError(f"{path}, line {number}", got=line, allowed="id<TAB>name")
        if identity in name_of or identity not in ids:
            problem = "duplicate class" if identity in name_of else "no such class folder"
            raise UvlpError(f"{path}, line {number}: {problem}", got=identity, allowed=first_few(ids))
        name_of[identity] = name.strip()
    missing = [name for name in ids if name not in name_of]
    if missing:
        raise UvlpError(f"{path} does not name every class", got=f"no line for {first_few(missing)}")
    return {name: name_of[name] for name in ids}


def _lines(path: Path) -> list[str]:
    try:
        return read_lines(path, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UvlpError(f"cannot read {path}", got=str(error), allowed="UTF-8 lines id<TAB>name") from error


def hash_content(
    root: Path, listing: Listing, classes: Sequence[ClassName], cache: Path, progress: Progress
) -> Content:
    """Hash everything that defines the dataset.

    Raises:
        UvlpError: a file cannot be read.
    """
    groups = {
        f"{split}/{identity}": {name: listing.source(name) for name in names}
        for split in SPLITS
        for identity, names in zip(listing.classes, listing.files[split], strict=True)
    }
    captions = find_captions(root, listing)
    groups |= captions.groups()
    hashes = hash_groups(root, groups, cache, progress, image_files.check_header)
    sha256 = digest(
        {
            "groups": [[group, hashed.content] for group, hashed in hashes.items()],
            "classes": [[entry.id, entry.name, entry.synonyms] for entry in classes],
            "reader": image_files.REVISION,
        }
    )
    images = {
        split: b"".join(hashes[f"{split}/{identity}"].files for identity in listing.classes)
        for split in SPLITS
    }
    return Content(sha256, images, {group: hashes[group] for group in captions.groups()})


def class_infos(listing: Listing, classes: Sequence[ClassName]) -> tuple[ClassInfo, ...]:
    """The classes with their image counts, in label order."""
    groups = zip(classes, listing.files["train"], listing.files["val"], strict=True)
    return tuple(
        ClassInfo(
            id=entry.id,
            name=entry.name,
            index=index,
            train=len(train),
            val=len(val),
            synonyms=entry.synonyms,
        )
        for index, (entry, train, val) in enumerate(groups)
    )


def _make_manifest(
    root: Path,
    listing: Listing,
    classes: Sequence[ClassName],
    content: Content,
    described: Described,
    progress: Progress,
) -> DatasetManifest:
    """Build the manifest: read the captions and decode every image once."""
    notes: tuple[str, ...] = ()
    # Errors in captions are reported when captions are needed; imported captions may replace them.
    captions = find_captions(root, listing)
    hashes = caption_hashes(root, captions, content.captions)
    with unchanged_during(root, hashes), contextlib.suppress(UvlpError):
        notes = read_captions(root, captions, listing).notes
    image_px, not_turned = _check_images(root, listing, content, progress)
    return DatasetManifest(
        name=described.name,
        argument="",
        variant="",
        classes=class_infos(listing, classes),
        content_hash=content.sha256,
        image_px=image_px,
        source=described.source,
        notes=notes + not_turned,
    )


def _check_images(
    root: Path, listing: Listing, content: Content, progress: Progress
) -> tuple[int, tuple[str, ...]]:
    """Decode every image; return the side if all are squares of one size, else 0, and notes."""
    names = {split: [name for group in listing.files[split] for name in group] for split in SPLITS}
    paths = [root / listing.source(name) for split in SPLITS for name in names[split]]
    hashes = [sha256 for split in SPLITS for sha256 in content.of(split, range(len(names[split])))]
    sizes: set[tuple[int, int]] = set()
    not_turned = []
    results = in_order(_check, image_files.with_hashes(paths, hashes))
    for path, (size, turned) in zip(paths, progress.track(results, "check images", len(paths)), strict=True):
        sizes.add(size)
        if not turned:
            not_turned.append(path.relative_to(root).as_posix())
    width_px, height_px = next(iter(sizes))
    note = f"images whose orientation cannot be read, used as stored: {first_few(not_turned)}"
    return width_px if len(sizes) == 1 and width_px == height_px else 0, (note,) * bool(not_turned)


def _check(file: tuple[Path, str]) -> tuple[tuple[int, int], bool]:
    decoded = image_files.load_converted(*file)
    return decoded.image.size, decoded.turned
