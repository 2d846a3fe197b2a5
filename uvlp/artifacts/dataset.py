"""Interface of dataset plug-ins: a manifest that needs no library, and images on demand."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from uvlp.core.errors import UvlpError
from uvlp.core.files.paths import check_folder, expand_home
from uvlp.core.hashing import read_checked, write_checked
from uvlp.core.wording import first_few

if TYPE_CHECKING:
    import numpy

SPLITS = ("train", "val")
HUB = "hf"
"""The dataset whose argument is an address of the hub; that of any other is a path."""
STAGED = "UVLP_STAGED"
"""Names a folder on a node's own disk to processes that read images from archives (`datasets/staging`)."""


class DatasetElsewhere(UvlpError):
    """A dataset is at another path or in another format than expected, so nothing is downloaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """How to open a dataset on this machine.

    Attributes:
        name: plug-in in `uvlp/datasets`, with ``-``.
        argument: text after the colon, e.g. the path of ``folder:PATH``.
        data: folder of named datasets; empty: ``$UVLP_DATA``, else ``./uvlp_data``.
        variant: published version; empty: the dataset's first.
    """

    name: str
    argument: str = ""
    data: str = ""
    variant: str = ""

    @classmethod
    def parse(cls, text: str, data: str = "", variant: str = "") -> DatasetSpec:
        """Parse ``NAME`` or ``NAME:ARGUMENT``."""
        name, _, argument = text.partition(":")
        return cls(name=name.replace("_", "-"), argument=argument, data=data, variant=variant)

    def __str__(self) -> str:
        return f"{self.name}:{self.argument}" if self.argument else self.name

    @property
    def path(self) -> Path | None:
        """The folder that the argument names; None if it names none.

        Raises:
            UvlpError: it names the home of an unknown user.
        """
        return expand_home(self.argument) if self.argument and self.name != HUB else None

    @property
    def location(self) -> str:
        """Name and variant, the address, or the resolved path of a folder, whatever its content."""
        if self.path is not None:
            return f"{self.name}:{os.path.realpath(self.path)}"
        return str(self) if self.argument else f"{self.name} {self.variant}".strip()

    @property
    def root(self) -> Path:
        """The folder of named datasets.

        Raises:
            UvlpError: it cannot be a folder.
        """
        path = expand_home(self.data or os.environ.get("UVLP_DATA") or "uvlp_data")
        return check_folder("data folder", path, "--data DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassInfo:
    """One class: folder name or number, readable name, label, images per split.

    ``synonyms`` are all its names, e.g. ``"tench, Tinca tinca"``; by default only the name.
    """

    id: str
    name: str
    index: int
    train: int
    val: int
    synonyms: str = ""

    def __post_init__(self) -> None:
        if not self.synonyms:
            object.__setattr__(self, "synonyms", self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetManifest:
    """Description of a dataset that needs no decoded images.

    Attributes:
        name: plug-in that reads it, e.g. ``"folder"``.
        argument: text after the colon, e.g. a path; specific to a machine, never part of a key.
        variant: published version, e.g. ``"full"``; empty if there is only one.
        classes: in label order, ``classes[i].index == i``.
        content_hash: hexadecimal SHA-256 of everything that determines images, labels, names and captions;
            the dataset's part of every artifact key.
        image_px: side of the images if all are squares of one size, else 0.
        source: description of the source of the images.
        notes: lines for the user, e.g. counts of duplicates.
        caveats: lines that also appear below tables, e.g. a size that differs from the published one.
    """

    name: str
    argument: str
    variant: str
    classes: tuple[ClassInfo, ...]
    content_hash: str
    image_px: int
    source: str
    notes: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()

    def count(self, split: str) -> int:
        """Number of images of ``"train"`` or ``"val"``."""
        assert split in SPLITS, split
        return sum(entry.train if split == "train" else entry.val for entry in self.classes)

    def smallest_class(self) -> tuple[str, int]:
        """Id and number of training images of the smallest class (the first one on ties)."""
        smallest = min(self.classes, key=lambda entry: entry.train)
        return smallest.id, smallest.train

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> DatasetManifest:
        """Build a manifest from the result of ``dataclasses.asdict``.

        Raises:
            KeyError, TypeError: ``values`` have another structure.
        """
        values["classes"] = tuple(ClassInfo(**entry) for entry in values["classes"])
        values["notes"] = tuple(values["notes"])
        values["caveats"] = tuple(values.get("caveats", ()))
        return cls(**values)


class Dataset(Protocol):
    """An opened dataset. ``split`` is ``"train"`` or ``"val"``; indices are positions in ``files``."""

    @property
    def manifest(self) -> DatasetManifest:
        """Names, counts and the content hash."""
        ...

    def files(self, split: str) -> tuple[str, ...]:
        """Stable names such as ``"train/3/0007.png"``, sorted by label, then in file order."""
        ...

    def labels(self, split: str) -> tuple[int, ...]:
        """Class index of every file of ``files(split)``."""
        ...

    def images(self, split: str, indices: Sequence[int], size_px: int) -> numpy.ndarray:
        """uint8 [N, size_px, size_px, 3], squashed to a square (methods.md A.1)."""
        ...

    def originals(self, split: str, indices: Sequence[int]) -> list[numpy.ndarray]:
        """uint8 [H, W, 3] each, at their stored size."""
        ...

    def captions(self) -> Mapping[str, str] | None:
        """Captions by name below `train/`, e.g. ``"3/0007.png"``; None if the dataset has none."""
        ...


def check_content(spec: DatasetSpec, manifest: DatasetManifest, content_hash: str) -> None:
    """Refuse a dataset that is not the one in the key of a task.

    Args:
        spec: how it was opened, for the message.
        manifest: manifest of the opened dataset.
        content_hash: expected content hash; empty: any.

    Raises:
        UvlpError: the content differs.
    """
    actual = manifest.content_hash
    if content_hash and actual != content_hash:
        raise UvlpError(
            f"the dataset {spec} was changed while it was used",
            got=f"content {actual[:16]}",
            allowed=f"content {content_hash[:16]}, as when the run began",
            fix="re-run the command; nothing was stored from the changed files",
        )


def same_names(classes: Sequence[ClassInfo]) -> tuple[str, ...]:
    """Return a line for every name that several classes share."""
    ids: dict[str, list[str]] = {}
    for info in classes:
        ids.setdefault(info.name, []).append(info.id)
    return tuple(
        f"{len(alike)} classes have the name {name!r} ({first_few(alike)}): texts with it alone do not tell "
        "them apart"
        for name, alike in ids.items()
        if len(alike) > 1
    )


def recall(path: Path, content_hash: str) -> DatasetManifest | None:
    """Return the manifest that :func:`remember` wrote; None if missing, damaged or of other content."""
    try:
        manifest = DatasetManifest.from_values(read_checked(path))
    except (KeyError, TypeError):
        return None
    return manifest if manifest.content_hash == content_hash else None


def remember(path: Path, manifest: DatasetManifest) -> None:
    """Cache a manifest for the next call; failures to write are ignored."""
    with contextlib.suppress(OSError):
        write_checked(path, asdict(manifest))
