"""What a dataset's plug-in opens is checked, by the name of its file: the manifest, then what it gives."""

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


def checked(found: Any, name: str, file: str) -> Dataset:
    """What `open_dataset` of ``file`` returned, with everything checked that it gives.

    Args:
        name: of the plug-in.

    Raises:
        UvlpError: it is no dataset, or its manifest contradicts itself.
    """
    manifest = getattr(found, "manifest", None)
    lacking = [each for each in NEEDED if not callable(getattr(found, each, None))]
    if lacking or not isinstance(manifest, DatasetManifest):
        lacks = f"without {lacking[0]}" if lacking else f"whose manifest is {kind_of(manifest)}"
        raise wrong_return(file, "open_dataset", "a Dataset", f"{kind_of(found)} {lacks}")
    if wrong := _contradiction(manifest, name):
        raise UvlpError(f"{file}: the manifest of the dataset", got=wrong)
    return _Checked(found, manifest, file)


def _contradiction(manifest: DatasetManifest, name: str) -> str:
    """What is wrong with a manifest; empty where nothing is."""
    ids = [each.id for each in manifest.classes]
    odd = [each for each in ids if not each or "/" in each or not each.isprintable()]
    empty = [each.id for each in manifest.classes for split in SPLITS if getattr(each, split) < 0]
    checks = {
        f"name {manifest.name!r}, not {name!r}": manifest.name != name,
        "no classes": not ids,
        f"a class whose id is {odd[:1]}": bool(odd),
        "two classes of one id": len(set(ids)) < len(ids),
        "classes whose index is not their place": [each.index for each in manifest.classes]
        != list(range(len(ids))),
        f"a negative number of images in class {empty[:1]}": bool(empty),
        f"content_hash {manifest.content_hash!r}, no hexadecimal SHA-256": not re.fullmatch(
            "[0-9a-f]{64}", str(manifest.content_hash)
        ),
        f"image_px {manifest.image_px!r}": not isinstance(manifest.image_px, int) or manifest.image_px < 0,
    }
    return next((what for what, wrong in checks.items() if wrong), "")


class _Checked:
    """A dataset (see `artifacts/dataset.py`); what comes from the plug-in is compared with its manifest."""

    def __init__(self, dataset: Dataset, manifest: DatasetManifest, file: str) -> None:
        self._dataset, self.manifest, self._file = dataset, manifest, file
        self._files: dict[str, tuple[str, ...]] = {}
        self._labels: dict[str, tuple[int, ...]] = {}

    def files(self, split: str) -> tuple[str, ...]:
        """Names of the images of a split."""
        if split not in self._files:
            found = self._dataset.files(split)
            wanted = f"a tuple of {self.manifest.count(split)} different names that begin with {split}/"
            self._check(isinstance(found, tuple), "files", wanted, kind_of(found))
            self._check(len(set(found)) == self.manifest.count(split), "files", wanted, f"{len(found)}")
            odd = [name for name in found if not isinstance(name, str) or not name.startswith(f"{split}/")]
            self._check(not odd, "files", wanted, odd[:1])
            self._files[split] = found
        return self._files[split]

    def labels(self, split: str) -> tuple[int, ...]:
        """Class index of every image of a split."""
        if split not in self._labels:
            found = self._dataset.labels(split)
            counts = [getattr(each, split) for each in self.manifest.classes]
            right = [index for index, count in enumerate(counts) for _ in range(count)]
            wanted = f"a tuple of class indices in order, {len(right)} in all, as the manifest counts them"
            self._check(isinstance(found, tuple), "labels", wanted, kind_of(found))
            pairs = enumerate(zip(found, right, strict=False))
            first = next((row for row, (label, wanted_label) in pairs if label != wanted_label), None)
            told = f"{len(found)} of them" if first is None else f"{found[first]} in row {first}"
            self._check(first is None and len(found) == len(right), "labels", wanted, told)
            self._labels[split] = found
        return self._labels[split]

    def images(self, split: str, indices: Sequence[int], size_px: int) -> numpy.ndarray:
        """Images as squares of one size."""
        found = self._dataset.images(split, indices, size_px)
        shape = (len(indices), size_px, size_px, 3)
        wanted = f"an ndarray uint8 [{', '.join(map(str, shape))}]"
        self._check(_is_uint8(found) and found.shape == shape, "images", wanted, kind_of(found))
        return found

    def originals(self, split: str, indices: Sequence[int]) -> list[numpy.ndarray]:
        """Images at the size they are stored in."""
        found = list(self._dataset.originals(split, indices))
        wanted = f"{len(indices)} ndarrays uint8 [H, W, 3]"
        self._check(len(found) == len(indices), "originals", wanted, f"{len(found)} of them")
        for each in found:
            fits = _is_uint8(each) and each.ndim == 3 and each.shape[2] == 3 and each.size > 0
            self._check(fits, "originals", wanted, kind_of(each))
        return found

    def captions(self) -> Mapping[str, str] | None:
        """Caption by name below `train/`."""
        found = self._dataset.captions()
        wanted = "None, or a dictionary of texts by names below train/"
        self._check(found is None or isinstance(found, Mapping), "captions", wanted, kind_of(found))
        return found

    def _check(self, right: bool, function: str, wanted: str, got: object) -> None:
        if not right:
            raise wrong_return(self._file, function, wanted, got)


def _is_uint8(value: Any) -> bool:
    return str(getattr(value, "dtype", "")) == "uint8"  # of numpy, which is not imported for it
