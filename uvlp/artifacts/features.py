"""`features`: one row per training image, in the order of the dataset's files, memory-mapped.

part `clip`: `image.npy`, `text.npy` float32 [N, D] unit rows, `names.npy` float32 [C, D] the
class-name prototypes. Part `latents`: `latents.npy` float32 [N, 4, h, w], already scaled.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

from uvlp.core.errors import UvlpError

KIND = "features"
SCHEMA = 1
PARTS = {"clip": ("image", "text", "names"), "latents": ("latents",)}


def write(folder: Path, arrays: dict[str, numpy.ndarray]) -> None:
    """Write each array as `<name>.npy`, after the check that every value is a finite number.

    Raises:
        UvlpError: a value is NaN or infinite; the array and the row are named.
    """
    import numpy

    for name, array in arrays.items():
        bad = ~numpy.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if bad.any():
            raise UvlpError(f"stage embed: {name} of row {int(bad.argmax())} is not a finite number")
        numpy.save(folder / f"{name}.npy", array, allow_pickle=False)


def read(folder: Path, part: str) -> dict[str, numpy.ndarray]:
    """The arrays of one part, memory-mapped and read-only."""
    import numpy

    return {
        name: numpy.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in PARTS[part]
    }
