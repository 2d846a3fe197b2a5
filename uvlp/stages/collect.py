"""collect: images of any method, a folder or a file of tensors -> `distilled`, scored like a method's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts import distilled
from uvlp.artifacts.dataset import ClassInfo
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.work import Work
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import changed_during_read
from uvlp.core.progress import Progress
from uvlp.datasets.files.class_folders import ClassFolders, content_hash, named_images
from uvlp.datasets.files.images.tensors import tensor_set

if TYPE_CHECKING:
    import numpy

REVISION = 1


def run(work: Work) -> None:
    """Copy the images, one at a time in memory, so that the artifact does not need the folder.

    Raises:
        UvlpError: an image cannot be decoded or is of one colour, or a file has changed since it was hashed
            for the key.
    """
    facts, path = work.task.facts, Path(work.task.origins["images"])
    classes = work.dataset().manifest.classes
    if "tensor" in facts:
        _store_tensors(work, path, classes)
        return
    folders = named_images(path, classes, facts)
    content, hashes = content_hash(folders, work.store.cache, work.progress)
    if content != facts["content"]:
        raise changed_during_read(path)
    entries = list(_entries(folders.files, classes))
    converted: Counter[str] = Counter()
    shown = (distilled.read_image(work.folder, entries[row]) for row in distilled.sheet_rows(entries))
    distilled.write(work.folder, entries, _images(folders, hashes, work.progress, converted), shown)
    work.note(
        {
            "grey images converted to RGB": converted["grey"],
            "images with an alpha channel put over white": converted["alpha"],
            "images whose orientation cannot be read, used as they are stored": converted["not turned"],
        }
    )


def _entries(files: Sequence[tuple[str, int]], classes: Sequence[ClassInfo]) -> Iterator[Entry]:
    """Yield a row per image; ``files`` are their names and labels."""
    slots: Counter[int] = Counter()
    for name, label in files:
        info = classes[label]
        yield Entry(
            file_name=f"{info.id}/{slots[label]:05d}.png",
            label=label,
            class_id=info.id,
            class_name=info.name,
            source=name,
        )
        slots[label] += 1


def _images(
    folders: ClassFolders, hashes: Sequence[str], progress: Progress, converted: Counter[str]
) -> Iterator[numpy.ndarray]:
    """Yield the images, uint8 [H, W, 3], and count conversions."""
    import numpy

    from uvlp.datasets.files.images.image_files import load_converted

    files = zip(folders.files, hashes, strict=True)
    for (name, _), sha256 in progress.track(files, "copy images", total=len(hashes)):
        decoded = load_converted(folders.root / name, sha256)
        converted[decoded.kind] += 1
        converted["not turned"] += not decoded.turned
        pixels = numpy.asarray(decoded.image)
        _refuse_one_colour(pixels, str(folders.root / name))
        yield pixels


def _refuse_one_colour(pixels: numpy.ndarray, name: str) -> None:
    if (pixels == pixels[0, 0]).all():
        raise UvlpError(
            f"the image {name} is {'of one colour' if pixels.any() else 'black'}",
            fix="failed syntheses leave such images: synthesise it again or replace it",
        )


def _store_tensors(work: Work, path: Path, classes: Sequence[ClassInfo]) -> None:
    """Store the images of a file: uint8 as image files, floats as they are, and soft labels.

    Raises:
        UvlpError: an image is of one colour, or the file has changed since it was hashed for the key.
    """
    facts = work.task.facts
    loaded = tensor_set.load(path, classes, tensor_set.reading_of(facts["tensor"]))
    if loaded.content != facts["content"]:
        raise changed_during_read(path)
    chosen = tensor_set.chosen(loaded, classes, facts)
    names = [(f"images[{row}]", int(loaded.labels.hard[row])) for row in chosen.rows]
    entries = list(_entries(names, classes))
    images = loaded.images[list(chosen.rows)]
    for image, row in zip(images, chosen.rows, strict=True):
        _refuse_one_colour(image, f"{path}, {loaded.key}[{row}]")
    soft = None if loaded.labels.soft is None else loaded.labels.soft[list(chosen.rows)]
    if loaded.floats or soft is not None:
        floats = {entry.file_name: image for entry, image in zip(entries, images, strict=True)}
        temperature = facts["tensor"].get("temperature", 1.0)
        distilled.write_tensors(work.folder, floats if loaded.floats else {}, soft, temperature)
    shown = (distilled.read_image(work.folder, entries[row]) for row in distilled.sheet_rows(entries))
    if loaded.floats:
        distilled.finish(work.folder, entries, shown)
    else:
        distilled.write(work.folder, entries, images, shown)
