"""Checks of a dataset opened by a plug-in: its manifest, and everything that its methods return."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from uvlp.artifacts.dataset import SPLITS, Dataset, DatasetManifest
from uvlp.core.errors import UvlpError, wrong_return
from uvlp.core.wording import kind_of

if TYPE_CHECKING:
    import numpy

NEEDED = ("files", "labels", "images", "originals", "captions")


def checked(returned: Any, name: str, file: str) -> Dataset:
    """Return the result of `open_dataset` of ``file``, wrapped so that its return values are checked.

    Args:
        name: name of the plug-in.

    Raises:
        UvlpError: it is not a dataset, or its manifest is inconsistent.
    """
    manifest = getattr(returned, "manifest", None)
    missing = [each for each in NEEDED if not callable(getattr(returned, each, None))]
    if missing or not isinstance(manifest, DatasetManifest):
        defect = f"without {missing[0]}" if missing else f"whose manifest is {kind_of(manifest)}"
        raise wrong_return(file, "open_dataset", "a Dataset", f"{kind_of(returned)} {defect}")
    if wrong := _contradiction(manifest, name):
        raise UvlpError(f"{file}: invalid manifest of the dataset", got=wrong)
    return _Checked(returned, manifest, file)


def _contradiction(manifest: DatasetManifest, name: str) -> str:
    """Return what is wrong with a manifest; "" if nothing is."""
    ids = [each.id for each in manifest.classes]
    invalid = [each for each in ids if not each or "/" in each or not each.isprintable()]
    empty = [each.id for each in manifest.classes for split in SPLITS if getattr(each, split) < 0]
    checks = {
        f"name {manifest.name!r}, not {name!r}": manifest.name != name,
        "no classes": not ids,
        f"a class whose id is {invalid[:1]}": bool(invalid),
        "two classes with the same id": len(set(ids)) < len(ids),
        "classes whose index is not their position": [each.index for each in manifest.classes]
        != list(range(len(ids))),
        f"a negative number of images in class {empty[:1]}": bool(empty),
        f"content_hash {manifest.content_hash!r}, not a hexadecimal SHA-256": not re.fullmatch(
            "[0-9a-f]{64}", str(manifest.content_hash)
        ),
        f"image_px {manifest.image_px!r}": not isinstance(manifest.image_px, int) or manifest.image_px < 0,
    }
    return next((what for what, wrong in checks.items() if wrong), "")


class _Checked:
    """A dataset (see `artifacts/dataset.py`) whose return values are compared with its manifest."""

    def __init__(self, dataset: Dataset, manifest: DatasetManifest, file: str) -> None:
        self._dataset, self.manifest, self._file = dataset, manifest, file
        if callable(stored := getattr(dataset, "stored", None)):
            self.stored = stored  # images are files: see `datasets/staging/archives.py`
        self._files: dict[str, tuple[str, ...]] = {}
        self._labels: dict[str, tuple[int, ...]] = {}

    def files(self, split: str) -> tuple[str, ...]:
        """Names of the images of a split."""
        if split not in self._files:
            names = self._dataset.files(split)
            wanted = f"a tuple of {self.manifest.count(split)} different names that begin with {split}/"
            self._check(isinstance(names, tuple), "files", wanted, kind_of(names))
            self._check(len(set(names)) == self.manifest.count(split), "files", wanted, f"{len(names)}")
            invalid = [
                name for name in names if not isinstance(name, str) or not name.startswith(f"{split}/")
            ]
            self._check(not invalid, "files", wanted, invalid[:1])
            self._files[split] = names
        return self._files[split]

    def labels(self, split: str) -> tuple[int, ...]:
        """Class index of every image of a split."""
        if split not in self._labels:
            labels = self._dataset.labels(split)
            counts = [getattr(each, split) for each in self.manifest.classes]
            expected = [index for index, count in enumerate(counts) for _ in range(count)]
            wanted = (
                f"a tuple of class indices in order, {len(expected)} in total, as counted in the manifest"
            )
            self._check(isinstance(labels, tuple), "labels", wanted, kind_of(labels))
            pairs = enumerate(zip(labels, expected, strict=False))
            first = next((row for row, (label, expected_label) in pairs if label != expected_label), None)
            got = f"{len(labels)} of them" if first is None else f"{labels[first]} in row {first}"
            self._check(first is None and len(labels) == len(expected), "labels", wanted, got)
            self._labels[split] = labels
        return self._labels[split]

    def images(self, split: str, indices: Sequence[int], size_px: int) -> numpy.ndarray:
        """Images resized to squares."""
        images = self._dataset.images(split, indices, size_px)
        shape = (len(indices), size_px, size_px, 3)
        wanted = f"an ndarray uint8 [{', '.join(map(str, shape))}]"
        self._check(_is_uint8(images) and images.shape == shape, "images", wanted, kind_of(images))
        return images

    def originals(self, split: str, indices: Sequence[int]) -> list[numpy.ndarray]:
        """Images at their stored size."""
        images = list(self._dataset.originals(split, indices))
        wanted = f"{len(indices)} ndarrays uint8 [H, W, 3]"
        self._check(len(images) == len(indices), "originals", wanted, f"{len(images)} of them")
        for each in images:
            fits = _is_uint8(each) and each.ndim == 3 and each.shape[2] == 3 and each.size > 0
            self._check(fits, "originals", wanted, kind_of(each))
        return images

    def captions(self) -> Mapping[str, str] | None:
        """Captions by name below `train/`."""
        texts = self._dataset.captions()
        wanted = "None, or a dictionary of texts by names below train/"
        self._check(texts is None or isinstance(texts, Mapping), "captions", wanted, kind_of(texts))
        return texts

    def _check(self, right: bool, function: str, wanted: str, got: object) -> None:
        if not right:
            raise wrong_return(self._file, function, wanted, got)


def _is_uint8(value: Any) -> bool:
    return str(getattr(value, "dtype", "")) == "uint8"  # without importing numpy
