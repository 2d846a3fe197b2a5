"""The input of a method: the training images of every class as features, captions and latents.

Arrays are read lazily, and a class is freed when the method continues with the next: all latents of
ImageNet-1K would take 84 GB.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from uvlp.artifacts.features import Latents, posterior_noise
from uvlp.artifacts.parts.arrays import Array
from uvlp.core.errors import UvlpError

if TYPE_CHECKING:
    import numpy

    from uvlp.artifacts.dataset import ClassInfo
    from uvlp.artifacts.prototypes import Prototype

ORDERS = ("file", "published")
PARTS = {"image": "images", "latents": "images", "text": "texts", "network": "network"}
"""The entry of FEATURES that a method needs to read each array."""


@dataclass(frozen=True, kw_only=True)
class ClassData:
    """A class, with its rows in visiting order.

    Attributes:
        id: class folder name.
        name: readable name.
        synonyms: all names of the class in a string (methods.md B.5).
        index: class index.
        prompt: label-only prompt.
        rows: rows of the dataset's training files.
        captions: one text per row; empty strings where missing captions are allowed.
        arrays: of the entire training set by name, indexed by rows.
        read: reads images from rows and a side, uint8 [n, side, side, 3].
        read_originals: reads images from rows at their own size, uint8 [H, W, 3] each.
        file: of the method, for errors.
    """

    id: str
    name: str
    synonyms: str
    index: int
    prompt: str
    rows: tuple[int, ...]
    captions: tuple[str, ...] = ()
    arrays: Mapping[str, Any] = field(default_factory=dict)
    read: Callable[[Sequence[int], int], numpy.ndarray] | None = None
    read_originals: Callable[[Sequence[int]], list[numpy.ndarray]] | None = None
    file: str = ""

    def originals(self, rows: Sequence[int]) -> list[numpy.ndarray]:
        """RGB images of rows at their own size, uint8 [H, W, 3] each; read again in every call."""
        assert self.read_originals is not None, "images are read from a dataset"
        return self.read_originals(rows)

    def pixels(self, size_px: int) -> numpy.ndarray:
        """RGB images uint8 [n, size_px, size_px, 3], squashed to squares; read again in every call."""
        assert self.read is not None, "images are read from a dataset"
        return self.read(self.rows, size_px)

    @cached_property
    def image(self) -> numpy.ndarray:
        """CLIP image features float32 [n, D], unit rows."""
        return self._of("image")

    @cached_property
    def text(self) -> numpy.ndarray:
        """CLIP caption features float32 [n, D], unit rows."""
        return self._of("text")

    @cached_property
    def latents(self) -> numpy.ndarray:
        """VAE latents float32 [n, 4, h, w], scaled."""
        return self._of("latents")

    def latents_of(self, indices: Sequence[int]) -> numpy.ndarray:
        """VAE latents float32 [n, 4, h, w] of the images at some positions of the class; reads only those."""
        return self._of("latents", [self.rows[index] for index in indices])

    @cached_property
    def network(self) -> numpy.ndarray:
        """Features float32 [n, D] of a network trained on the entire training set."""
        return self._of("network")

    def _of(self, name: str, rows: Sequence[int] | None = None) -> numpy.ndarray:
        if name not in self.arrays:
            part = PARTS[name]
            what = f"{self.file or 'a method'} reads `{name}` of a class"
            raise UvlpError(what, fix=f"add {part!r} to its FEATURES")
        values: numpy.ndarray = self.arrays[name][list(self.rows if rows is None else rows)]
        return values


class Classes(Sequence[ClassData]):
    """A sequence that builds each class on access, so that none stays in memory."""

    def __init__(
        self,
        infos: Sequence[ClassInfo],
        rows: Sequence[Sequence[int]],
        arrays: Mapping[str, Any],
        texts: Sequence[str],
        prompts: Mapping[str, str],
        read: Callable[[Sequence[int], int], numpy.ndarray],
        read_originals: Callable[[Sequence[int]], list[numpy.ndarray]],
        file: str = "",
    ) -> None:
        self._infos, self._rows, self._arrays = infos, rows, arrays
        self._texts, self._prompts, self._file = texts, prompts, file
        self._read, self._read_originals = read, read_originals

    def __len__(self) -> int:
        return len(self._infos)

    @overload
    def __getitem__(self, index: int) -> ClassData: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ClassData]: ...

    def __getitem__(self, index: int | slice) -> ClassData | Sequence[ClassData]:
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        info, rows = self._infos[index], self._rows[index]
        return ClassData(
            id=info.id,
            name=info.name,
            synonyms=info.synonyms,
            index=info.index,
            prompt=self._prompts.get(info.id, info.name),
            rows=tuple(rows),
            captions=tuple(self._texts[row] for row in rows) if self._texts else (),
            arrays=self._arrays,
            read=self._read,
            read_originals=self._read_originals,
            file=self._file,
        )


class Some(Sequence[ClassData]):
    """The classes of some indices, each built on access."""

    def __init__(self, classes: Sequence[ClassData], indices: Sequence[int]) -> None:
        self._classes, self._indices = classes, tuple(indices)

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> ClassData: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ClassData]: ...

    def __getitem__(self, index: int | slice) -> ClassData | Sequence[ClassData]:
        if isinstance(index, slice):
            return Some(self._classes, self._indices[index])
        return self._classes[self._indices[index]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodInput:
    """The classes in index order: all, or for a method with `PER_CLASS` those of a job.

    Attributes:
        classes: may be built on every access.
        last_visited: index of the class of the last visited image.
        names: class-name prototypes float32 [C, D], unit rows; None if the method does not need them.
        ipc: images per class.
        seed: distillation seed.
        size_px: side of the images that a method makes: that of the test networks' input.
        flip: whether a mirrored image is an image of the same class, so that augmentation may flip.
        device: "cpu" or "cuda", for methods that compute with networks.
        labels: label of every class in a class-conditional model.
        models: folder of every model that the method reads, by name (``"teacher"``).
    """

    classes: Sequence[ClassData]
    last_visited: int
    names: numpy.ndarray | None
    ipc: int
    seed: int
    size_px: int = 0
    flip: bool = True
    device: str = "cpu"
    labels: Sequence[int] = ()
    models: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """The result of a prototype method for one class.

    Attributes:
        latents: float32 [ipc, 4, h, w].
        prototypes: one description per latent.
        notes: counts for the result, e.g. clusters that had to be split.
    """

    latents: numpy.ndarray
    prototypes: list[Prototype]
    notes: dict[str, Any] = field(default_factory=dict)


def build(
    dataset: Any,
    ipc: int,
    seed: int,
    arrays: Mapping[str, Array],
    texts: Sequence[str] = (),
    prompts: Mapping[str, str] | None = None,
    order: str = "file",
    file: str = "",
    size_px: int = 0,
    flip: bool = True,
    device: str = "cpu",
    labels: Sequence[int] = (),
    models: Mapping[str, Path] | None = None,
) -> MethodInput:
    """Build the input from features of the training set (rows in file order).

    Args:
        dataset: a `Dataset`.
        ipc: images per class.
        seed: distillation seed.
        arrays: any of `image`, `text`, `mean` and `deviation` (together: latents), `network`, `names`.
        texts, prompts: caption of every row, and label-only prompt by class id; may be empty.
        order: order of the rows: `file` (as listed) or `published`.
        file: of the method, for errors.
        size_px, flip, device, labels, models: see `MethodInput`.

    Raises:
        UvlpError: an unknown order.
    """
    of_rows, files = dataset.labels("train"), dataset.files("train")
    visited = _visited(dataset, order, seed)
    rows: list[list[int]] = [[] for _ in dataset.manifest.classes]
    for row in visited:
        rows[of_rows[row]].append(row)
    by_name: dict[str, Any] = dict(arrays)
    if "mean" in by_name:
        mean, deviation = by_name.pop("mean"), by_name.pop("deviation")
        by_name["latents"] = Latents(mean, deviation, posterior_noise(files, seed, mean.shape[1:]))

    def read(rows: Sequence[int], size_px: int) -> numpy.ndarray:
        return dataset.images("train", rows, size_px)

    def read_originals(rows: Sequence[int]) -> list[numpy.ndarray]:
        return list(dataset.originals("train", rows))

    return MethodInput(
        classes=Classes(
            dataset.manifest.classes, rows, by_name, texts, prompts or {}, read, read_originals, file
        ),
        last_visited=of_rows[visited[-1]],
        names=by_name.get("names"),
        ipc=ipc,
        seed=seed,
        size_px=size_px,
        flip=flip,
        device=device,
        labels=labels,
        models=models or {},
    )


def _visited(dataset: Any, order: str, seed: int) -> Sequence[int]:
    """All rows in visiting order."""
    if order not in ORDERS:
        raise UvlpError("unknown order of the images", got=order, allowed=", ".join(ORDERS))
    files = dataset.files("train")
    if order == "file":
        return range(len(files))
    ids = [info.id for info in dataset.manifest.classes]
    labels = dataset.labels("train")
    # As torchvision's ImageFolder: sorted by class id, then folder, then file name.
    listed = sorted(range(len(files)), key=lambda row: (ids[labels[row]], *os.path.split(files[row])))
    return [listed[index] for index in visiting_order(len(files), seed)]


def visiting_order(count: int, seed: int) -> list[int]:
    """The order of 0..count−1 in a shuffled `DataLoader` after ``torch.manual_seed(seed)`` (methods.md A.1).

    It does not depend on batch size or workers. The loader first draws a seed for its workers, then one for
    the permutation.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    draws = [int(torch.empty((), dtype=torch.int64).random_(generator=generator)) for _ in range(2)]
    order: list[int] = torch.randperm(count, generator=torch.Generator().manual_seed(draws[1])).tolist()
    return order
