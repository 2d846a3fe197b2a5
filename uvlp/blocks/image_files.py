"""Image files to 8-bit RGB arrays, upright, at their own size or squashed to a square.

One rule for every file: the first frame, turned as its EXIF orientation says, transparent parts over
white, 16-bit grey cut to its upper 8 bits (as PIL does for 16-bit colour), everything else by PIL's
``convert("RGB")``. Differs from the published loader (``convert("RGB")`` alone) only for files with
an EXIF orientation, transparency or 16-bit grey.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from uvlp.blocks.image_decoding import LARGEST_BYTES, Decoded, decode
from uvlp.core.errors import UvlpError
from uvlp.core.foreign_files import BEGINNING_BYTES, begins, check_regular, impostor
from uvlp.core.wording import byte_size

if TYPE_CHECKING:
    import numpy
    from PIL import Image

T = TypeVar("T")

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # evaluation.md 1.3
REVISION = 1  # raise when the same file gives other pixels; part of every dataset's content hash
CHUNK = 512
THREADS = 8


def load_rgb(path: Path) -> Image.Image:
    """The whole file decoded, mode RGB.

    Raises:
        UvlpError: the file is no regular one, damaged, truncated, too large, no image, or of a kind without
            an 8-bit meaning.
    """
    return load_converted(path).image


def load_converted(path: Path) -> Decoded:
    """As :func:`load_rgb`, and what is known of the file.

    Raises:
        UvlpError: see :func:`load_rgb`.
    """
    try:
        size = check_regular(path, "image")
        if size > LARGEST_BYTES:
            raise UvlpError(
                f"the image {path} is too large", got=byte_size(size), allowed=byte_size(LARGEST_BYTES)
            )
        with path.open("rb") as file:
            return decode(file, path)
    except OSError as error:
        raise UvlpError(f"cannot read the image {path}", got=error.strerror or str(error)) from error


def check_pointers(paths: Iterable[Path]) -> None:
    """Refuse small texts in place of images (a repository cloned without git-lfs) before any is decoded.

    Raises:
        UvlpError: the first of them is named.
        OSError: a file is not there.
    """
    for path in paths:
        if os.stat(path).st_size <= BEGINNING_BYTES and impostor(begins(path)):
            load_rgb(path)  # raises, with the reason


def squash(image: Image.Image, size_px: int) -> numpy.ndarray:
    """uint8 [size_px, size_px, 3]; aspect not kept, bilinear with antialiasing (methods.md A.1)."""
    import numpy
    from PIL import Image

    if image.size != (size_px, size_px):
        image = image.resize((size_px, size_px), Image.Resampling.BILINEAR)
    return numpy.asarray(image)


def load_squashed(paths: Sequence[Path], size_px: int) -> numpy.ndarray:
    """uint8 [N, size_px, size_px, 3], in the order of ``paths``."""
    import numpy

    pixels = numpy.empty((len(paths), size_px, size_px, 3), dtype=numpy.uint8)
    loaded = in_threads(lambda path: squash(load_rgb(path), size_px), paths)
    for row, image in enumerate(loaded):
        pixels[row] = image
    return pixels


def load_originals(paths: Iterable[Path]) -> list[numpy.ndarray]:
    """uint8 [H, W, 3] per file, in the order of ``paths``."""
    import numpy

    return list(in_threads(lambda path: numpy.asarray(load_rgb(path)), paths))


def in_threads(work: Callable[[Path], T], paths: Iterable[Path]) -> Iterator[T]:
    """``work`` on every path, results in order; decoders let other threads run meanwhile."""
    remaining = iter(paths)
    with ThreadPoolExecutor(min(THREADS, len(os.sched_getaffinity(0)))) as pool:
        while chunk := list(itertools.islice(remaining, CHUNK)):
            yield from pool.map(work, chunk)
