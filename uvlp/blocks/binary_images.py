"""CIFAR's binary archives: fixed-length records of labels and 32 x 32 pixels; no pickle is opened.

A record is one label byte (CIFAR-100: coarse, then fine), then 1,024 red, green and blue values, row by row.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts.dataset_manifest import (
    SPLITS,
    ClassInfo,
    Dataset,
    DatasetManifest,
    DatasetSpec,
    recall,
    remember,
)
from uvlp.blocks.archive import Archive
from uvlp.blocks.folder_captions import find_captions, look_up_captions
from uvlp.blocks.folder_hashes import hash_groups
from uvlp.blocks.named_sets import NamedSet, missing_archive
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import digest
from uvlp.core.lines import read_lines
from uvlp.core.progress import Progress
from uvlp.core.wording import first_few

if TYPE_CHECKING:
    import numpy

IMAGE_PX = 32
PIXEL_BYTES = 3 * IMAGE_PX * IMAGE_PX


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The files of one archive.

    Attributes:
        archive: what holds them.
        files: per split, in the order of the record numbers.
        label_bytes: labels before the pixels; the last one counts.
        names_file: text file with the class names, in the order of the labels.
    """

    archive: Archive
    files: Mapping[str, tuple[str, ...]]
    label_bytes: int
    names_file: str

    @property
    def record_bytes(self) -> int:
        """Length of one record."""
        return self.label_bytes + PIXEL_BYTES

    @property
    def every_file(self) -> tuple[str, ...]:
        """All files that are read."""
        return (*(name for split in SPLITS for name in self.files[split]), self.names_file)


class BinaryImages:
    """The dataset in ``root`` (see `artifacts/dataset_manifest.py` for its interface)."""

    def __init__(self, root: Path, layout: Layout, facts: NamedSet, cache: Path, progress: Progress) -> None:
        self._root, self._layout, self._facts = root, layout, facts
        self.manifest = self._manifest(cache, progress)

    def files(self, split: str) -> tuple[str, ...]:
        """Names such as ``train/airplane/00029.png``; the number is the record's."""
        ids = self._facts.ids
        return tuple(f"{split}/{ids[label]}/{record:05d}.png" for label, record in self._records[split])

    def labels(self, split: str) -> tuple[int, ...]:
        """Class index of every file."""
        return tuple(label for label, _ in self._records[split])

    def images(self, split: str, indices: Sequence[int], size_px: int) -> numpy.ndarray:
        """uint8 [N, size_px, size_px, 3], squashed to a square."""
        import numpy
        from PIL import Image

        from uvlp.blocks.image_files import squash

        pixels = numpy.empty((len(indices), size_px, size_px, 3), dtype=numpy.uint8)
        for row, image in enumerate(self.originals(split, indices)):
            pixels[row] = image if size_px == IMAGE_PX else squash(Image.fromarray(image), size_px)
        return pixels

    def originals(self, split: str, indices: Sequence[int]) -> list[numpy.ndarray]:
        """uint8 [32, 32, 3] each."""
        import numpy

        records = self._records[split]
        found = (self._pixels(split, records[index][1]) for index in indices)
        return [numpy.ascontiguousarray(planes.transpose(1, 2, 0)) for planes in found]

    def captions(self) -> Mapping[str, str] | None:
        """Caption by name below `train/`, or None without a file of captions."""
        found = find_captions(self._root)
        return look_up_captions(self._root, found, self.files("train")).texts if found else None

    def _pixels(self, split: str, record: int) -> numpy.ndarray:
        """uint8 [3, 32, 32] of one record."""
        for block in self._blocks[split]:
            if record < len(block):
                return block[record, self._layout.label_bytes :].reshape(3, IMAGE_PX, IMAGE_PX)
            record -= len(block)
        raise AssertionError("no such record")

    @cached_property
    def _blocks(self) -> dict[str, list[numpy.ndarray]]:
        """Per file uint8 [records, bytes], read from the disk when they are looked at."""
        import numpy

        return {
            split: [
                numpy.memmap(self._root / name, mode="r").reshape(-1, self._layout.record_bytes)
                for name in names
            ]
            for split, names in self._layout.files.items()
        }

    @cached_property
    def _records(self) -> dict[str, list[tuple[int, int]]]:
        """Per split label and record number of every image, by label, then by number."""
        return {
            split: sorted(
                (label, record)
                for record, label in enumerate(
                    label for name in names for label in _labels(self._root / name, self._layout)
                )
            )
            for split, names in self._layout.files.items()
        }

    def _manifest(self, cache: Path, progress: Progress) -> DatasetManifest:
        """The manifest, which after the first call needs no look into the records."""
        groups = {name: {name: name} for name in self._layout.every_file}
        groups |= find_captions(self._root).groups()
        hashes = hash_groups(self._root, groups, cache, progress)
        names = [[entry.id, entry.name] for entry in self._facts.classes]
        content_hash = digest({"files": list(hashes.items()), "classes": names, "reader": "binary"})
        remembered = cache / f"{self._facts.name}-{content_hash[:16]}.json"
        manifest = recall(remembered, content_hash)
        if manifest is None:
            manifest = self._count(content_hash)
            remember(remembered, manifest)
        return manifest

    def _count(self, content_hash: str) -> DatasetManifest:
        facts = self._facts
        _check_names(self._root / self._layout.names_file, facts)
        labels = {split: [label for label, _ in self._records[split]] for split in SPLITS}
        for split, found in labels.items():
            if found and found[-1] >= len(facts.ids):
                raise UvlpError(f"{self._root}: a label of {split} is out of range", got=found[-1])
            lacking = [name for index, name in enumerate(facts.ids) if index not in set(found)]
            if lacking:
                raise UvlpError(f"{self._root}: no images in {split} of some classes", got=first_few(lacking))
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
    """Open the unpacked archive, below the data folder or the data folder itself.

    Raises:
        UvlpError: it is not there, or not what it should be.
    """
    root = binary_root(layout, spec)
    if root is None:
        raise _missing(layout, facts, spec)
    return BinaryImages(root, layout, facts, cache, progress or Progress())


def _missing(layout: Layout, facts: NamedSet, spec: DatasetSpec) -> UvlpError:
    """The error for an archive that is not there, or that somebody turned into image files."""
    if any(facts.classes_in(spec.root / place) for place in ("", "train")):
        return UvlpError(
            f"the dataset {facts.name} is read from its binary archive",
            got=f"image files in {spec.root}",
            allowed=f"{layout.archive.folder}/ with {layout.files['train'][0]}",
            do=f"use them as folder:PATH (train/ and val/), or fetch the archive: `uvlp fetch {facts.name}`",
        )
    first = layout.files["train"][0]
    return missing_archive(facts, layout.archive, spec, lambda folder: (folder / first).is_file())


def binary_root(layout: Layout, spec: DatasetSpec) -> Path | None:
    """The folder with the first file of records."""
    places = (spec.root / layout.archive.folder, spec.root)
    first = layout.files["train"][0]
    return next((Path(os.path.realpath(place)) for place in places if (place / first).is_file()), None)


def _labels(path: Path, layout: Layout) -> bytes:
    """The label of every record; numpy is not needed."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if len(content) % layout.record_bytes == 0:
                return content[layout.label_bytes - 1 :: layout.record_bytes]
            got = f"{len(content):,} bytes"
    except ValueError:
        got = "an empty file"
    except OSError as error:
        raise UvlpError(f"cannot read {path}", got=error.strerror, do="fetch the dataset again") from error
    raise UvlpError(
        f"{path} is cut off",
        got=got,
        allowed=f"a multiple of {layout.record_bytes:,} bytes",
        do=f"delete {path.parent} and fetch the dataset again",
    )


def _check_names(path: Path, facts: NamedSet) -> None:
    """The archive's own class names, in the order of its labels, are those of the list."""
    found = tuple(line.strip() for line in read_lines(path) if line.strip())
    if found != facts.ids:
        other = [name for name in found if name not in facts.ids] or list(found)
        raise UvlpError(f"{path}: other classes than those of {facts.name}", got=first_few(other))
