"""Selection of images from a folder, as the facts of the task that collects them; none is decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import ClassInfo
from uvlp.core.progress import Progress
from uvlp.datasets.files.class_folders import content_hash, named_images, scan_classes
from uvlp.datasets.files.folder_hashes import hash_files


def find(
    path: Path,
    classes: Sequence[ClassInfo],
    cache: Path,
    progress: Progress,
    *,
    ipc: int | None = None,
    select: str = "first",
    seed: int = 0,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the facts of the task that collects ``path``, and notes for the user; no image is decoded.

    The facts are ``ipc``, ``select``, ``content`` (hash) and, for drawn images, ``seed``.

    Args:
        path: the image folder; the task's origin ``images``.
        classes: of the dataset that the images are scored on.
        cache: folder with cached file hashes.
        progress: reports reading.
        ipc, select, seed: see `class_folders.scan_classes`.

    Raises:
        UvlpError: the folder is invalid.
    """
    folders = scan_classes(path, classes, ipc=ipc, select=select, seed=seed)
    facts = {
        "ipc": folders.ipc,
        "select": folders.select,
        "content": content_hash(folders, cache, progress)[0],
    }
    if folders.select == "drawn":
        facts["seed"] = seed
    return facts, folders.notes


def hashes(
    path: Path, classes: Sequence[ClassInfo], cache: Path, progress: Progress, facts: Mapping[str, Any]
) -> frozenset[tuple[int, str]]:
    """Return label and SHA-256 of every image that :func:`find` selected, given its ``facts``.

    Raises:
        UvlpError: the folder is invalid.
    """
    folders = named_images(path, classes, facts)
    sums = hash_files(folders.root, [name for name, _ in folders.files], cache, progress)
    return frozenset((label, sha256) for (_, label), sha256 in zip(folders.files, sums, strict=True))
