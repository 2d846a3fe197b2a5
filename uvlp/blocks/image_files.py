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

from uvlp.core.errors import UvlpError

if TYPE_CHECKING:
    import numpy
    from PIL import Image

T = TypeVar("T")

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # evaluation.md 1.3
REVISION = 1  # raise when the same file gives other pixels; part of every dataset's content hash
ALPHA, GREY = "alpha", "grey"
CHUNK = 512
THREADS = 8


def load_rgb(path: Path) -> Image.Image:
    """The whole file decoded, mode RGB.

    Raises:
        UvlpError: the file is damaged, truncated, no image, or of a kind without an 8-bit meaning.
    """
    return load_converted(path)[0]


def load_converted(path: Path) -> tuple[Image.Image, str]:
    """As :func:`load_rgb`, and ``ALPHA``, ``GREY`` or "" for what the file held."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _rgb(image), _kind(image)
    except MemoryError:
        raise
    except UnidentifiedImageError as error:
        got = "no image" if path.stat().st_size else "an empty file"
        raise _unreadable(path, got) from error
    except Exception as error:  # decoders raise nearly anything on damaged data
        raise _unreadable(path, str(error) or type(error).__name__) from error


def _unreadable(path: Path, got: str) -> UvlpError:
    return UvlpError(
        f"cannot read the image {path}",
        got=got,
        allowed="whole image files with 8 or 16 bits per channel",
        do="replace or remove it",
    )


def _kind(image: Image.Image) -> str:
    if image.has_transparency_data:
        return ALPHA
    return GREY if image.mode in ("1", "L") or image.mode.startswith("I;16") else ""


def _rgb(image: Image.Image) -> Image.Image:
    import numpy
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((numpy.asarray(image) >> 8).astype(numpy.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("32 bits per channel")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        return white.convert("RGB")
    return image.convert("RGB")


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
