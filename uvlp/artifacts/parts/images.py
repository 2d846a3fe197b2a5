"""Images of `distilled` made in parts: a PNG file per image, below the folder of its class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

from uvlp.artifacts.distilled import Entry
from uvlp.core.files.writing import link_or_copy


def write(folder: Path, entries: Sequence[Entry], images: Iterable[numpy.ndarray]) -> None:
    """Write the images of a part, uint8 [H, W, 3], to its folder.

    Raises:
        OSError: they cannot be written.
    """
    from PIL import Image

    for entry, pixels in zip(entries, images, strict=True):
        path = folder / entry.file_name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path, "PNG")


def publish(sources: Iterable[Path], folder: Path) -> None:
    """Add the images of all parts to the folder of the artifact.

    Args:
        sources: folders of the parts.
        folder: of the artifact.

    Raises:
        OSError: they cannot be written.
    """
    for source in sources:
        for path in source.glob("*/*.png"):
            target = folder / "train" / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, target)
