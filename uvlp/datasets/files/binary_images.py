"""CIFAR's binary archives as datasets: fixed-length records; no pickle is opened.

A record is one label byte (CIFAR-100: coarse, then fine), then 1,024 red, green and blue values of 32 x 32
pixels, row by row.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts.dataset import (
    SPLITS,
    ClassInfo,
    Dataset,
    DatasetElsewhere,
    DatasetManifest,
    DatasetSpec,
    recall,
    remember,
)
from uvlp.core.errors import UvlpError
from uvlp.core.files.downloads import Download
from uvlp.core.files.lines import split_lines
from uvlp.core.hashing import digest, read_hashed, unchanged_during
from uvlp.core.progress import Progress
from uvlp.core.wording import first_few
from uvlp.datasets.files.archive import Archive, archived_size
from uvlp.datasets.files.class_lists import numbered_classes
from uvlp.datasets.files.folder_captions import caption_hashes, find_captions, look_up_captions
from uvlp.datasets.files.folder_hashes import Hashed, hash_groups
from uvlp.datasets.files.named_sets import (
    NamedSet,
    chosen_variant,
    fetch_archived,
    missing_archive,
    plan_archived,
)
from uvlp.recipes.dataset_size import DatasetSize

if TYPE_CHECKING:
    import numpy


IMAGE_PX = 32
PIXEL_BYTES = 3 * IMAGE_PX * IMAGE_PX


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The files in an archive.

    Attributes:
        archive: contains the files.
        files: per split, in the order of the record numbers.
        label_bytes: label bytes before the pixels; the last one is used.
        names_file: text file with the class names, in the order of the labels.
    """

    archive: Archive
    files: Mapping[str, tuple[str, ...]]
    label_bytes: int
    names_file: str

    @property
    def record_bytes(self) -> int:
        """Length of a record."""
        return self.label_bytes + PIXEL_BYTES

    @property
    def every_file(self) -> tuple[str, ...]:
        """Names of all files to read."""
        return (*(name for split in SPLITS for name in self.files[split]), self.names_file)


class BinaryImages:
    """The dataset in ``root`` (see `artifacts/dataset.py` for its interface)."""

    def __init__(self, root: Path, layout: Layout, facts: NamedSet, cache: Path, progress: Progress) -> None:
        self._root, self._layout, self._facts = root, layout, facts
        self._hashes = self._hash(cache, progress)
        self._read: dict[str, bytes] = {}
        self._sorted: dict[str, list[tuple[int, int]]] = {}
        self.manifest = self._manifest(cache)

    def files(self, split: str) -> tuple[str, ...]:
        """Names such as ``train/airplane/00029.png``; the number is that of the record."""
        ids = self._facts.ids
        return tuple(f"{split}/{ids[label]}/{record:05d}.png" for label, record in self._records(split))

    def labels(self, split: str) -> tuple[int, ...]:
        """Class index of every file."""
        return tuple(label for label, _ in self._records(split))

    def images(self, split: str, indices: Sequence[int], size_px: int) -> numpy.ndarray:
        """uint8 [N, size_px, size_px, 3], squashed to a square."""
        import numpy
        from PIL import Image

        from uvlp.datasets.files.images.image_files import squash

        pixels = numpy.empty((len(indices), size_px, size_px, 3), dtype=numpy.uint8)
        for row, image in enumerate(self.originals(split, indices)):
            pixels[row] = image if size_px == IMAGE_PX else squash(Image.fromarray(image), size_px)
        return pixels

    def originals(self, split: str, indices: Sequence[int]) -> list[numpy.ndarray]:
        """uint8 [32, 32, 3] each."""
        import numpy

        records = self._records(split)
        channels_first = (self._pixels(split, records[index][1]) for index in indices)
        return [numpy.ascontiguousarray(image.transpose(1, 2, 0)) for image in channels_first]

    def captions(self) -> Mapping[str, str] | None:
        """Caption by name below `train/`; None if there is no caption file."""
        files = find_captions(self._root)
        if not files:
            return None
        with unchanged_during(self._root, caption_hashes(self._root, files, self._hashes)):
            return look_up_captions(self._root, files, self.files("train")).texts

    def _pixels(self, split: str, record: int) -> numpy.ndarray:
        """uint8 [3, 32, 32] of one record."""
        import numpy

        for name in self._layout.files[split]:
            content = self._content(name)
            records = len(content) // self._layout.record_bytes
            if record < records:
                start = record * self._layout.record_bytes + self._layout.label_bytes
                return numpy.frombuffer(content, numpy.uint8, PIXEL_BYTES, start).reshape(
                    3, IMAGE_PX, IMAGE_PX
                )
            record -= records
        raise AssertionError("no such record")

    def _records(self, split: str) -> list[tuple[int, int]]:
        """Label and record number of every image of a split, sorted by label, then by number."""
        if split not in self._sorted:
            labels = (label for name in self._layout.files[split] for label in self._labels(name))
            self._sorted[split] = sorted((label, record) for record, label in enumerate(labels))
        return self._sorted[split]

    def _labels(self, name: str) -> bytes:
        """The label of every record; does not need numpy."""
        content, path = self._content(name), self._root / name
        if content and len(content) % self._layout.record_bytes == 0:
            return content[self._layout.label_bytes - 1 :: self._layout.record_bytes]
        raise UvlpError(
            f"{path} is truncated",
            got=f"{len(content):,} bytes" if content else "an empty file",
            allowed=f"a multiple of {self._layout.record_bytes:,} bytes",
            fix=f"delete {path.parent} and fetch the dataset again",
        )

    def _content(self, name: str) -> bytes:
        """The bytes of a file, read once and compared with the hash that entered the key."""
        if name not in self._read:
            path = self._root / name
            try:
                self._read[name] = read_hashed(path, self._hashes[name].files.hex())
            except OSError as error:
                fix = f"allow reading, or delete {path.parent} and fetch the dataset again"
                raise UvlpError(f"cannot read {path}", got=error.strerror, fix=fix) from error
        return self._read[name]

    def _hash(self, cache: Path, progress: Progress) -> dict[str, Hashed]:
        """Hash every file that is read; by file name."""
        groups = {name: {name: name} for name in self._layout.every_file}
        groups |= find_captions(self._root).groups()
        return hash_groups(self._root, groups, cache, progress)

    def _manifest(self, cache: Path) -> DatasetManifest:
        """The manifest; from the second call on it is read from the cache, not counted from the records."""
        files = [[name, hashed.content] for name, hashed in self._hashes.items()]
        names = [[entry.id, entry.name] for entry in self._facts.classes]
        content_hash = digest({"files": files, "classes": names, "reader": "binary"})
        remembered = cache / f"{self._facts.name}-{content_hash[:16]}.json"
        manifest = recall(remembered, content_hash)
        if manifest is None:
            manifest = self._build_manifest(content_hash)
            remember(remembered, manifest)
        return manifest

    def _check_names(self) -> None:
        """Check that the archive's class names, in label order, are those of the class list."""
        name, facts = self._layout.names_file, self._facts
        lines = split_lines(self._content(name).decode("utf-8", "replace"))
        names = tuple(line.strip() for line in lines if line.strip())
        if names != facts.ids:
            unknown = [entry for entry in names if entry not in facts.ids] or list(names)
            what = f"{self._root / name}: the classes are not those of {facts.name}"
            raise UvlpError(what, got=first_few(unknown))

    def _build_manifest(self, content_hash: str) -> DatasetManifest:
        facts = self._facts
        self._check_names()
        labels = {split: [label for label, _ in self._records(split)] for split in SPLITS}
        for split, values in labels.items():
            if values and values[-1] >= len(facts.ids):
                raise UvlpError(f"{self._root}: a label of {split} is out of range", got=values[-1])
            empty = [name for index, name in enumerate(facts.ids) if index not in set(values)]
            if empty:
                raise UvlpError(f"{self._root}: some classes have no images in {split}", got=first_few(empty))
        return DatasetManifest(
            name=facts.name,
            argument="",
            variant="",
            classes=tuple(
                ClassInfo(
                    id=entry.id,
                    name=entry.name,
                    index=index,
                    train=labels["train"].count(index),
                    val=labels["val"].count(index),
                    synonyms=entry.synonyms,
                )
                for index, entry in enumerate(facts.classes)
            ),
            content_hash=content_hash,
            image_px=IMAGE_PX,
            source=facts.source,
            notes=facts.remarks(len(labels["train"]), len(labels["val"])),
        )


def open_binary(
    layout: Layout, facts: NamedSet, spec: DatasetSpec, cache: Path, progress: Progress | None
) -> Dataset:
    """Open the unpacked archive, in the data folder or the data folder itself.

    Raises:
        UvlpError: it is missing or invalid.
    """
    root = binary_root(layout, spec)
    if root is None:
        raise _missing(layout, facts, spec)
    return BinaryImages(root, layout, facts, cache, progress or Progress())


def _missing(layout: Layout, facts: NamedSet, spec: DatasetSpec) -> UvlpError:
    """The error for an archive that is missing or was converted to image files."""
    if any(facts.classes_in(spec.root / folder) for folder in ("", "train")):
        return DatasetElsewhere(
            f"the dataset {facts.name} is read from its binary archive",
            got=f"image files in {spec.root}",
            allowed=f"{layout.archive.folder}/ with {layout.files['train'][0]}",
            fix=f"use them as folder:PATH (train/ and val/), or fetch the archive: `uvlp fetch {facts.name}`",
        )
    first = layout.files["train"][0]
    return missing_archive(facts, layout.archive, spec, lambda folder: (folder / first).is_file())


def binary_root(layout: Layout, spec: DatasetSpec) -> Path | None:
    """The folder that contains the first file of records; None if there is none."""
    candidates = (spec.root / layout.archive.folder, spec.root)
    first = layout.files["train"][0]
    return next((Path(os.path.realpath(folder)) for folder in candidates if (folder / first).is_file()), None)


VARIANTS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BinarySet:
    """A dataset plug-in for such an archive.

    Attributes:
        name: of the plug-in and of its class list.
        layout: the archive and the files in it.
        counts: known numbers of training and test images.
    """

    name: str
    layout: Layout
    counts: tuple[int, int]

    def open_dataset(self, spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
        """Open the unpacked archive.

        Raises:
            UvlpError: it is missing or invalid.
        """
        chosen_variant(spec, VARIANTS)
        facts = NamedSet(
            name=self.name,
            source=f"University of Toronto, {self.layout.archive.name}",
            classes=numbered_classes(self.name),
            counts=self.counts,
        )
        return open_binary(self.layout, facts, spec, cache, progress)

    def download(self, spec: DatasetSpec) -> Download | None:
        """The download that :meth:`fetch` would still make; None if there is none."""
        chosen_variant(spec, VARIANTS)
        root = binary_root(self.layout, spec)
        return None if root else plan_archived(self.name, self.layout.archive, spec)

    def fetch(self, spec: DatasetSpec, progress: Progress) -> None:
        """Download the archive's folder into the data folder.

        Raises:
            UvlpError: no space, no connection, a hash mismatch.
        """
        chosen_variant(spec, VARIANTS)
        if binary_root(self.layout, spec) is None:
            fetch_archived(self.layout.archive, spec, progress)


def binary_size(one: BinarySet, classes: int) -> DatasetSize:
    """Size of such a dataset."""
    archive = one.layout.archive
    return archived_size(archive, classes, one.counts, IMAGE_PX * IMAGE_PX, "the archive's page")
