"""What every dataset plug-in gives: a manifest that needs no library, and images on demand."""

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


class DatasetElsewhere(UvlpError):
    """A dataset is not where it was looked for, but nearby or in another form: nothing is to be fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """How to open a dataset on this machine.

    Attributes:
        name: plug-in in `uvlp/datasets`, with ``-``.
        argument: what stood behind the colon, e.g. the path of ``folder:PATH``.
        data: folder in which a named dataset lies; empty: ``$UVLP_DATA``, else ``./uvlp_data``.
        variant: which of several published versions; empty: the dataset's first.
    """

    name: str
    argument: str = ""
    data: str = ""
    variant: str = ""

    @classmethod
    def parse(cls, text: str, data: str = "", variant: str = "") -> DatasetSpec:
        """The spec of ``NAME`` or ``NAME:ARGUMENT``."""
        name, _, argument = text.partition(":")
        return cls(name=name.replace("_", "-"), argument=argument, data=data, variant=variant)

    def __str__(self) -> str:
        return f"{self.name}:{self.argument}" if self.argument else self.name

    @property
    def place(self) -> str:
        """Name and variant, or the one path of a folder; equal for equal requests, whatever lies there."""
        if self.argument:
            return f"{self.name}:{os.path.realpath(expand_home(self.argument))}"
        return f"{self.name} {self.variant}".strip()

    @property
    def root(self) -> Path:
        """The folder with named datasets.

        Raises:
            UvlpError: no folder can be there.
        """
        place = expand_home(self.data or os.environ.get("UVLP_DATA") or "uvlp_data")
        return check_folder("data folder", place, "--data DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassInfo:
    """One class: folder name or number, name for people and prompts, label, images per split.

    ``synonyms`` are all its names, e.g. ``"tench, Tinca tinca"``; the name alone if nobody gave others.
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
    """What is known of a dataset without opening an image.

    Attributes:
        name: plug-in that reads it, e.g. ``"folder"``.
        argument: what stood after the colon, e.g. a path; a machine fact, never part of a key.
        variant: which of several published versions, e.g. ``"full"``; empty where there is one.
        classes: in label order, ``classes[i].index == i``.
        content_hash: hexadecimal SHA-256 over all that decides about images, labels, names and
            captions; the dataset's share of every artifact key.
        image_px: side of the images if all are squares of one size, else 0.
        source: where the images come from, in words.
        notes: lines the user should read, e.g. counted duplicates.
        caveats: further ones that a table must carry too, e.g. another size than the published one.
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
        """The manifest of what ``dataclasses.asdict`` made of it.

        Raises:
            KeyError, TypeError: ``values`` are something else.
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
        """uint8 [H, W, 3] each, at the size they are stored in."""
        ...

    def captions(self) -> Mapping[str, str] | None:
        """Caption by name below `train/`, e.g. ``"3/0007.png"``; None if the dataset has none."""
        ...


def check_content(spec: DatasetSpec, manifest: DatasetManifest, content_hash: str) -> None:
    """Refuse a dataset that is not what the key of a task was made from.

    Args:
        spec: as it was opened, for the message.
        manifest: of what was opened.
        content_hash: what it must hold; empty: anything.

    Raises:
        UvlpError: it holds something else.
    """
    found = manifest.content_hash
    if content_hash and found != content_hash:
        raise UvlpError(
            f"the dataset {spec} was changed while it was used",
            got=f"content {found[:16]}",
            allowed=f"content {content_hash[:16]}, as when the run began",
            fix="run the same command again; nothing was stored of it",
        )


def same_names(classes: Sequence[ClassInfo]) -> tuple[str, ...]:
    """A line for every name that several classes have."""
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
    """The manifest that :func:`remember` wrote, None if it is not there, damaged or of other content."""
    try:
        manifest = DatasetManifest.from_values(read_checked(path))
    except (KeyError, TypeError):
        return None
    return manifest if manifest.content_hash == content_hash else None


def remember(path: Path, manifest: DatasetManifest) -> None:
    """Keep a manifest for the next call; where nothing can be written, that call does the work again."""
    with contextlib.suppress(OSError):
        write_checked(path, asdict(manifest))
