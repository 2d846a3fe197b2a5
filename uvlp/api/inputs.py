"""Images that a program hands over: paths as they are, arrays as files of tensors, datasets as folders."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvlp.api import items
from uvlp.api.image_set import ImageSet
from uvlp.api.items import Item
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store, explain_store_errors
from uvlp.core.errors import UvlpError
from uvlp.core.files.writing import keep_folder
from uvlp.core.progress import Progress, print_message
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.downloads.transfers import dataset_missing, fetch
from uvlp.pipeline.estimates import sizes
from uvlp.pipeline.folders import arrays
from uvlp.pipeline.requests.resolve import resolve, store_at
from uvlp.recipes.requests.reading import parse
from uvlp.recipes.requests.request import Request

if TYPE_CHECKING:
    import numpy

KEY_DIGITS = 16
FORMS = "a folder, an array with labels, a dataset of torch or of `datasets`, or what distil returned"


def folders(images: Any, labels: Any, name: str, request: Request) -> tuple[str, ...]:
    """Return the images in the form of the command line.

    Args:
        images, labels, name: see `calls.evaluate`.
        request: everything else that was asked for.

    Raises:
        UvlpError: images or labels that cannot be used.
    """
    if images is None and request.images:
        return tuple(request.images)
    given = [images] if isinstance(images, str | os.PathLike) else images
    if isinstance(given, list | tuple) and all(isinstance(each, str | os.PathLike) for each in given):
        return _paths([os.fspath(path) for path in given], labels)
    if isinstance(images, ImageSet):
        return (_row(name, images.folder / "train"),)
    if images is None or isinstance(images, bytes | dict):
        raise UvlpError("these are no images", got=type(images).__name__, allowed=FORMS)
    if hasattr(images, "dtype") or labels is not None:
        if labels is None:
            raise UvlpError("the images have no labels", fix="give labels, a class index for each image")
        return (_row(name, _file(items.array(images), items.array(labels), request)),)
    if not hasattr(images, "__getitem__") or not hasattr(images, "__len__"):
        what, fix = "these images cannot be read twice", "give arrays, or a dataset with a length"
        raise UvlpError(what, got=type(images).__name__, allowed=FORMS, fix=fix)
    if items.has_floats(images):
        return (_row(name, _file(*_unchanged(images), request)),)
    return (_row(name, _kept(items.of_dataset(images), store_at(request.store), _classes(request))),)


def _file(images: numpy.ndarray, labels: numpy.ndarray, request: Request) -> Path:
    """Return a file of tensors in the store with these images and labels, which is then read as any other."""
    stated = parse(request.layout, request.normalised, request.label_kind, request.temperature)
    store, classes = store_at(request.store), _classes(request)
    store.begin()
    with explain_store_errors(store.root):
        store.prepare()
        return arrays.kept(images, labels, classes, stated, store.cache)


def _unchanged(dataset: Any) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return the images and labels of a dataset that gives the same ones on a second reading."""
    import numpy

    images, labels = items.stacked(dataset)
    for index, each in enumerate(zip(*items.stacked(dataset), strict=True)):
        if not all(map(numpy.array_equal, each, (images[index], labels[index]), (True, True))):
            _changes(index)
    return images, labels


def _paths(paths: list[str], labels: Any) -> tuple[str, ...]:
    if not paths:
        raise UvlpError("there are no images", got=0, allowed=FORMS)
    if labels is not None:
        raise UvlpError("labels beside folders, which are the classes themselves", got=paths[0])
    return tuple(paths)


def _row(name: str, folder: Path) -> str:
    """Return a named row as on the command line; see `pipeline/folders/rows.py`."""
    if "=" in name or "/" in name:
        raise UvlpError("invalid name of a row", got=name, allowed="a name without = and /")
    return f"{name}={folder}"


def _classes(request: Request) -> int:
    """Return the number of classes of the dataset, as declared or as it is found here."""
    recipe, cache = resolve(request), store_at(request.store).cache
    size = sizes.lookup(recipe)
    if size is not None:
        return size.classes
    spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
    fetch(dataset_missing(spec), offline=request.offline)
    return len(open_dataset(spec, cache, Progress(print_message, "dataset")).manifest.classes)


def _kept(read: Callable[[], Iterator[Item]], store: Store, classes: int) -> Path:
    """Write every image as PNG below ``<cache>/images-<hash>/<class index>/``, unless it is there.

    A second reading must give the same images: a dataset with random transforms has no score.
    """
    store.begin()
    store.prepare()
    store.cache.mkdir(exist_ok=True)
    with explain_store_errors(store.root), tempfile.TemporaryDirectory(dir=store.root / ".tmp") as unfinished:
        made = Path(unfinished) / "images"
        hashes = _written(read(), made, classes)
        count = 0
        for count, (item, before) in enumerate(zip(read(), hashes, strict=False), start=1):
            if _hash(item) != before:
                _changes(count - 1)
        if count != len(hashes):
            _changes(count)
        key = hashlib.sha256("".join(hashes).encode()).hexdigest()[:KEY_DIGITS]
        kept = store.cache / f"images-{key}"
        if not _same(made, kept):
            shutil.rmtree(kept, ignore_errors=True)  # edited since an earlier call wrote it
            keep_folder(made, kept)
    return kept


def _same(made: Path, kept: Path) -> bool:
    """Return whether two folders have the same files; another call may be reading those that are kept."""
    names, others = (
        sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        for folder in (made, kept)
    )
    return names == others and all(filecmp.cmp(made / name, kept / name, shallow=False) for name in names)


def _changes(index: int) -> None:
    raise UvlpError(
        "the images change on a second reading",
        got=f"item {index}",
        allowed="the same image and label every time",
        fix="leave out random transforms and shuffling",
    )


def _written(read: Iterator[Item], folder: Path, classes: int) -> list[str]:
    """Write the images and return a hash of each with its label."""
    from PIL import Image

    hashes, counts = [], Counter[int]()
    for index, item in enumerate(read):
        if not 0 <= item.label < classes:
            what = f"the label of image {index} is out of range"
            raise UvlpError(what, got=item.label, allowed=f"0 to {classes - 1}")
        path = folder / f"{item.label:05d}" / f"{counts[item.label]:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(item.pixels).save(path)
        counts[item.label] += 1
        hashes.append(_hash(item))
    if not hashes:
        raise UvlpError("there are no images", got=0, allowed="1 or more of each class")
    return hashes


def _hash(item: Item) -> str:
    head = f"{item.label} {item.pixels.shape} ".encode()
    return hashlib.sha256(head + item.pixels.tobytes()).hexdigest()
