"""Selection of images from a folder or a file of tensors, as the facts of the task that collects them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import ClassInfo
from uvlp.core.progress import Progress
from uvlp.core.wording import first_few
from uvlp.datasets.files.class_folders import content_hash, named_images, scan_classes
from uvlp.datasets.files.folder_hashes import hash_files
from uvlp.datasets.files.images.tensors import tensor_set
from uvlp.recipes.requests.reading import Reading


def find(
    path: Path,
    classes: Sequence[ClassInfo],
    cache: Path,
    progress: Progress,
    *,
    ipc: int | None = None,
    select: str = "first",
    seed: int = 0,
    reading: Reading | None = None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the facts of the task that collects ``path``, and notes for the user; no image file is decoded.

    The facts are ``ipc``, ``select``, ``content`` (hash), for drawn images ``seed``, and for a file of
    tensors ``tensor``, how it was read.

    Args:
        path: the image folder, or the file of tensors; the task's origin ``images``.
        classes: of the dataset that the images are scored on.
        cache: folder with cached file hashes.
        progress: reports reading.
        ipc, select, seed: see `class_folders.scan_classes`.
        reading: what the user stated about tensors; None: nothing.

    Raises:
        UvlpError: the folder or the file is invalid.
    """
    if tensor_set.is_tensor_file(path):
        return _find_tensors(path, classes, ipc, select, seed, reading or Reading())
    folders = scan_classes(path, classes, ipc=ipc, select=select, seed=seed)
    facts = {
        "ipc": folders.ipc,
        "select": folders.select,
        "content": content_hash(folders, cache, progress)[0],
    }
    if folders.select == "drawn":
        facts["seed"] = seed
    return facts, folders.notes


def _find_tensors(
    path: Path, classes: Sequence[ClassInfo], ipc: int | None, select: str, seed: int, reading: Reading
) -> tuple[dict[str, Any], tuple[str, ...]]:
    loaded = tensor_set.load(path, classes, reading)
    chosen = tensor_set.choose(loaded, classes, ipc, select, seed)
    facts: dict[str, Any] = {
        "ipc": chosen.ipc,
        "select": chosen.select,
        "content": loaded.content,
        "tensor": tensor_set.facts(loaded, reading),
    }
    if chosen.select == "drawn":
        facts["seed"] = seed
    order = first_few(f"{info.index} is {info.name}" for info in classes)
    notes = [f"labels are indices of the dataset's classes: {order}"]
    if loaded.floats:
        least, most = float(loaded.images.min()), float(loaded.images.max())
        notes.append(f"float images, black 0 and white 1, from {least:.4g} to {most:.4g}; nothing is clamped")
    left_out = len(loaded.images) - len(chosen.rows)
    if left_out:
        notes.append(
            f"{left_out} of {len(loaded.images)} images are left out, {chosen.ipc} of each class are used"
        )
    return facts, tuple(notes)


def hashes(
    path: Path, classes: Sequence[ClassInfo], cache: Path, progress: Progress, facts: Mapping[str, Any]
) -> frozenset[tuple[int, str]]:
    """Return label and SHA-256 of every image that :func:`find` selected, given its ``facts``.

    Raises:
        UvlpError: the folder or the file is invalid.
    """
    if "tensor" in facts:
        loaded = tensor_set.load(path, classes, tensor_set.reading_of(facts["tensor"]))
        return frozenset(tensor_set.hashes(loaded, tensor_set.chosen(loaded, classes, facts)))
    folders = named_images(path, classes, facts)
    sums = hash_files(folders.root, [name for name, _ in folders.files], cache, progress)
    return frozenset((label, sha256) for (_, label), sha256 in zip(folders.files, sums, strict=True))
