"""`pixels`: the validation images at a network's input size, resized once for all trainings.

`validation.npy` (uint8 [N,3,S,S], memory-mapped by readers), `labels.npy` (int64 [N]) and `set.json`
with the name of the validation set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.core.files import json_files

if TYPE_CHECKING:
    import numpy

KIND = "pixels"
SCHEMA = 1
PIXELS, LABELS, NAME = "validation.npy", "labels.npy", "set.json"


@dataclass(frozen=True, slots=True)
class _Set:
    name: str


def write(
    folder: Path, images: Iterable[numpy.ndarray], labels: Sequence[int], size_px: int, name: str
) -> None:
    """Write images (uint8 [size_px,size_px,3]) one by one, so that only one is in memory."""
    import numpy
    from numpy.lib import format as npy

    layout = {"descr": "|u1", "fortran_order": False, "shape": (len(labels), 3, size_px, size_px)}
    # Not through a memory map, which would kill the process on a full disk.
    with (folder / PIXELS).open("wb") as file:
        npy.write_array_header_1_0(file, layout)
        for _, image in zip(labels, images, strict=True):
            file.write(image.transpose(2, 0, 1).tobytes())
    numpy.save(folder / LABELS, numpy.asarray(labels, dtype=numpy.int64))
    (folder / NAME).write_text(json.dumps({"name": name}) + "\n", encoding="utf-8")


def read(folder: Path) -> tuple[numpy.ndarray, numpy.ndarray, str]:
    """Return images (memory-mapped), labels and the name of the set."""
    import numpy

    # Copy on write: torch needs writable memory; the file is not changed.
    pixels = numpy.load(folder / PIXELS, mmap_mode="c")
    return pixels, numpy.load(folder / LABELS), json_files.read(_Set, folder / NAME).name
