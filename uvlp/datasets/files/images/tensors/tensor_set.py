"""Images and labels of one tensor file, checked, and the choice of those that are scored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvlp.artifacts.dataset import ClassInfo
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.hashing import digest, file_sha256
from uvlp.core.seeds import numpy_generator
from uvlp.core.wording import first_few
from uvlp.datasets.files.class_folders import SELECTIONS
from uvlp.datasets.files.images.tensors import containers, labels, parts, pictures
from uvlp.datasets.files.images.tensors.labels import Labels
from uvlp.recipes.requests.reading import Reading

if TYPE_CHECKING:
    import numpy

REVISION = 2
"""Raised when the same file gives other images or labels; part of the content hash."""
ALL = "all"
"""Selection of every image, where the most probable classes of soft labels differ in number."""
PICKLES = (".pkl", ".pickle", ".npy", ".mat", ".h5", ".hdf5")
"""Formats that users try and that are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSet:
    """The content of a file.

    Attributes:
        path: of the file.
        content: hash of the arrays that were read; however they are called, and in whatever file.
        images: uint8 or float32 [N,H,W,3]; of floats, 0 is black and 1 is white, and values may lie beyond.
        labels: of the images.
        key: name of the images in the file.
        layout: order of their axes in the file.
    """

    path: Path
    content: str
    images: numpy.ndarray
    labels: Labels
    key: str
    layout: str

    @property
    def floats(self) -> bool:
        """Whether the images are float32."""
        return self.images.dtype.kind == "f"


def is_tensor_file(path: Path) -> bool:
    """Return whether a path is a file that is read as tensors.

    Raises:
        UvlpError: it is a file of a format that is not read.
    """
    suffix = path.suffix.lower()
    if suffix in PICKLES and path.is_file():
        raise UvlpError(
            "images in a format that is not read",
            got=str(path),
            allowed=f"a folder, or {', '.join(containers.SUFFIXES)}",
            fix="save images and labels as .safetensors or .npz",
        )
    return suffix in containers.SUFFIXES and path.is_file()


def load(path: Path, classes: Sequence[ClassInfo], reading: Reading) -> TensorSet:
    """Read a file, and the labels beside it if it has none.

    Args:
        path: the file.
        classes: of the dataset; labels are their indices.
        reading: what the user stated.

    Raises:
        UvlpError: see `containers.read`, `parts.split`, `pictures.rgb`, `labels.read`; it cannot be read.
    """
    try:
        return _load(path, classes, reading)
    except OSError as error:
        raise UvlpError(f"cannot read {path}", got=error.strerror or str(error)) from error


def _load(path: Path, classes: Sequence[ClassInfo], reading: Reading) -> TensorSet:
    found = parts.split(containers.read(path, file_sha256(path)), path)
    given, where = found.labels, f"{path}, {found.labels_key}"
    if given is None:
        beside = parts.labels_beside(path)
        if beside is None:
            raise UvlpError(
                f"{path} has no labels",
                got=found.images_key,
                allowed=parts.ALLOWED,
                fix="save the labels in the same file, or as labels_NAME beside images_NAME",
            )
        given, key = parts.alone(containers.read(beside, file_sha256(beside)), beside)
        where = f"{beside}, {key}"
    images_at = f"{path}, {found.images_key}"
    images = pictures.rgb(found.images, reading, images_at)
    layout = pictures.layout_of(found.images, reading.layout, images_at)
    read = labels.read(given, len(images), len(classes), reading, where)
    return TensorSet(
        path=path,
        content=content_of(found.images, given),
        images=images,
        labels=read,
        key=found.images_key,
        layout=layout,
    )


def content_of(images: numpy.ndarray, labels: numpy.ndarray) -> str:
    """Return the hash of arrays of images and labels with their dtypes and shapes, hexadecimal."""
    return digest({"images": _sum(images), "labels": _sum(labels), "reader": REVISION})


def _sum(array: numpy.ndarray) -> str:
    return hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()).hexdigest()


def facts(loaded: TensorSet, reading: Reading) -> dict[str, Any]:
    """Return how the tensors were read, as facts of the task that stores them; see `reading_of`."""
    found: dict[str, Any] = {"layout": loaded.layout, "labels": loaded.labels.kind}
    if loaded.floats and reading.stated:
        found |= {"mean": reading.mean, "std": reading.std}
    if loaded.labels.kind == "logits":
        found["temperature"] = reading.temperature
    return found


def reading_of(tensor: Mapping[str, Any]) -> Reading:
    """Return the reading that `facts` describe."""
    return Reading(
        layout=tensor["layout"],
        mean=tuple(tensor.get("mean", ())),
        std=tuple(tensor.get("std", ())),
        stated="mean" in tensor,
        label_kind=tensor["labels"],
        temperature=tensor.get("temperature"),
    )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The images to use: rows of the file, classes in index order; how they were chosen; images per class."""

    rows: tuple[int, ...]
    select: str
    ipc: int


def choose(
    loaded: TensorSet, classes: Sequence[ClassInfo], ipc: int | None, select: str, seed: int
) -> Chosen:
    """Choose images as of a folder: all, the first of each class, or images drawn from the seed.

    Soft labels need not be most probable equally often: all images are then used if their number is a
    multiple of that of the classes.

    Raises:
        UvlpError: an unknown choice, classes of different sizes, or too few images.
    """
    if select not in SELECTIONS:
        raise unknown_name("selection of images", select, SELECTIONS)
    rows_of: list[list[int]] = [[] for _ in classes]
    for row, label in enumerate(loaded.labels.hard.tolist()):
        rows_of[label].append(row)
    counts = [len(rows) for rows in rows_of]
    each = ipc or (counts[0] if len(set(counts)) == 1 else _of_all(loaded, counts))
    few = [f"{count} of class {info.id}" for info, count in zip(classes, counts, strict=True) if count < each]
    if ipc is not None and few:
        what = f"{loaded.path}: too few images in {len(few)} of {len(classes)} classes"
        raise UvlpError(
            what, got=first_few(few), allowed=f"{ipc} or more", fix=f"pass --ipc, at most {min(counts)}"
        )
    if few:
        return Chosen(tuple(row for rows in rows_of for row in rows), ALL, each)
    drawn = select == "drawn" and max(counts) > each
    of_class = [
        _drawn(rows, info.id, each, seed) if drawn else rows[:each]
        for rows, info in zip(rows_of, classes, strict=True)
    ]
    return Chosen(tuple(row for rows in of_class for row in rows), "drawn" if drawn else "first", each)


def chosen(loaded: TensorSet, classes: Sequence[ClassInfo], facts: Mapping[str, Any]) -> Chosen:
    """Return the images that a task's facts select: ``ipc``, ``select`` and, for a draw, ``seed``.

    Raises:
        UvlpError: as :func:`choose`.
    """
    if facts["select"] == ALL:
        return choose(loaded, classes, None, "first", 0)
    return choose(loaded, classes, facts["ipc"], facts["select"], facts.get("seed", 0))


def _of_all(loaded: TensorSet, counts: Sequence[int]) -> int:
    """Return the images per class of a file whose classes differ in size."""
    total, classes = sum(counts), len(counts)
    if loaded.labels.soft is not None and total % classes == 0:
        return total // classes
    fix = f"pass --ipc, at most {min(counts)}, to use that many of each class" if min(counts) else None
    raise UvlpError(
        f"{loaded.path}: the classes have different numbers of images",
        got=f"{min(counts)} to {max(counts)}",
        allowed="the same number in every class",
        fix=fix,
    )


def _drawn(rows: Sequence[int], identity: str, ipc: int, seed: int) -> list[int]:
    order = numpy_generator(seed, "select", identity).permutation(len(rows))[:ipc]
    return [rows[position] for position in sorted(order)]


def hashes(loaded: TensorSet, chosen: Chosen) -> Iterator[tuple[int, str]]:
    """Yield label and SHA-256 of every chosen image."""
    for row in chosen.rows:
        yield int(loaded.labels.hard[row]), hashlib.sha256(loaded.images[row].tobytes()).hexdigest()
