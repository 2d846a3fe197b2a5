"""Which files of a distilled set are used: the first ones of each class (evaluation.md 1.3), or a draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uvlp.blocks.image_files import EXTENSIONS
from uvlp.core.errors import UvlpError
from uvlp.core.seeds import numpy_generator

SELECTIONS = ("first", "drawn")


def candidates(names: Sequence[str]) -> list[str]:
    """The image files among ``names`` (relative to the class folder) in the reference's walk.

    A folder's own files come before those of its sub-folders; both in plain string order.
    """
    images = [name for name in names if name.lower().endswith(EXTENSIONS)]
    return sorted(images, key=_walk_position)


def _walk_position(name: str) -> tuple[str, str]:
    folder, _, file = name.rpartition("/")
    return folder, file


def first_files(names_by_class: Mapping[str, Sequence[str]], ipc: int) -> list[tuple[str, int]]:
    """The first ``ipc`` images of every class with their labels, classes in plain string order.

    Args:
        names_by_class: file names relative to the class folder; a class's label is its position.
        ipc: images per class.

    Returns:
        ``[("n01440764/0.png", 0), ...]``.

    Raises:
        UvlpError: a class has fewer than ``ipc`` images.
    """
    label_of = {identity: label for label, identity in enumerate(names_by_class)}
    chosen = []
    for identity in sorted(names_by_class):
        images = choose(candidates(names_by_class[identity]), identity, ipc)
        chosen += [(f"{identity}/{name}", label_of[identity]) for name in images]
    return chosen


def choose(images: Sequence[str], identity: str, ipc: int, seed: int | None = None) -> list[str]:
    """``ipc`` images of one class in their order: the first ones, or with a seed a draw without replacement.

    Draws of one seed are nested: those of IPC 10 are among those of IPC 50.

    Raises:
        UvlpError: the class has fewer than ``ipc`` images.
    """
    if len(images) < ipc:
        raise UvlpError(
            f"too few images of class {identity}",
            got=len(images),
            allowed=f"{ipc} or more",
            do="add images or lower the IPC",
        )
    if seed is None:
        return list(images[:ipc])
    drawn = numpy_generator(seed, "select", identity).permutation(len(images))[:ipc]
    return [images[position] for position in sorted(drawn)]
