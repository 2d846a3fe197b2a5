"""Load image files as upright 8-bit RGB arrays, at their own size or squashed to a square.

All files are converted in the same way: the first frame, rotated by its EXIF orientation, transparent parts
over white, 16-bit grey reduced to its upper 8 bits (as PIL does for 16-bit colour), everything else by PIL's
``convert("RGB")``. This differs from the published loader (``convert("RGB")`` alone) only for files with
an EXIF orientation, transparency or 16-bit grey.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import (
    BEGINNING_BYTES,
    check_regular,
    check_size,
    first_bytes,
    wrong_content,
)
from uvlp.core.hashing import read_hashed
from uvlp.core.prefetch import in_order
from uvlp.datasets.files.images.decoding import LARGEST_BYTES, Decoded, decode, header_fits

if TYPE_CHECKING:
    import numpy
    from PIL import Image

T = TypeVar("T")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # evaluation.md 1.3
REVISION = 1  # raise it when the same file gives different pixels; enters every dataset's content hash


def load_rgb(path: Path, sha256: str = "") -> Image.Image:
    """Decode an image file to mode RGB.

    Args:
        sha256: expected hash of the file; empty for no check.

    Raises:
        UvlpError: the file is not regular, damaged, truncated, too large, not an image, of a mode without
            8-bit conversion, or its hash is not ``sha256``.
    """
    return load_converted(path, sha256).image


def load_converted(path: Path, sha256: str = "") -> Decoded:
    """As :func:`load_rgb`, with the kind of the image and whether its orientation was read.

    Raises:
        UvlpError: see :func:`load_rgb`.
    """
    try:
        size = check_regular(path, "image")
        check_size(path, "image", size, LARGEST_BYTES)
        # Decode the bytes that were hashed; the file may change meanwhile.
        content = read_hashed(path, sha256) if sha256 else path.read_bytes()
        return decode(io.BytesIO(content), path)
    except OSError as error:
        raise UvlpError(f"cannot read the image {path}", got=error.strerror or str(error)) from error


def check_header(path: Path) -> None:
    """Refuse a file with an image extension and an invalid header.

    Called whenever a file is hashed, so that errors are reported before hours of work on other images.

    Raises:
        UvlpError: as :func:`load_rgb`, for errors in the header.
        OSError: the file cannot be read.
    """
    if not path.name.lower().endswith(EXTENSIONS):
        return
    check_size(path, "image", check_regular(path, "image"), LARGEST_BYTES)
    with path.open("rb") as file:
        fits = header_fits(file, path)
    if not fits:
        load_rgb(path)  # raises with the reason, or succeeds without the metadata


def check_pointers(paths: Iterable[Path]) -> None:
    """Refuse text files in place of images (a repository cloned without git-lfs), and oversized files.

    Nothing is decoded.

    Raises:
        UvlpError: names the first such file.
        OSError: a file does not exist.
    """
    for path in paths:
        size = os.stat(path).st_size
        check_size(path, "image", size, LARGEST_BYTES)
        if size <= BEGINNING_BYTES and wrong_content(first_bytes(path)):
            load_rgb(path)  # raises, with the reason


def squash(image: Image.Image, size_px: int) -> numpy.ndarray:
    """uint8 [size_px, size_px, 3]; aspect not kept, bilinear with antialiasing (methods.md A.1)."""
    import numpy
    from PIL import Image

    if image.size != (size_px, size_px):
        image = image.resize((size_px, size_px), Image.Resampling.BILINEAR)
    return numpy.asarray(image)


def load_squashed(paths: Sequence[Path], size_px: int, hashes: Sequence[str] = ()) -> numpy.ndarray:
    """uint8 [N, size_px, size_px, 3], in the order of ``paths``; ``hashes`` as for :func:`load_rgb`."""
    return squash_all(lambda file: load_rgb(*file), with_hashes(paths, hashes), size_px)


def squash_all(load: Callable[[T], Image.Image], items: Sequence[T], size_px: int) -> numpy.ndarray:
    """uint8 [N, size_px, size_px, 3], in the order of ``items``, which threads load."""
    import numpy

    pixels = numpy.empty((len(items), size_px, size_px, 3), dtype=numpy.uint8)
    for row, image in enumerate(in_order(lambda item: squash(load(item), size_px), items)):
        pixels[row] = image
    return pixels


def load_originals(paths: Sequence[Path], hashes: Sequence[str] = ()) -> list[numpy.ndarray]:
    """uint8 [H, W, 3] per file, in the order of ``paths``; ``hashes`` as for :func:`load_rgb`."""
    import numpy

    return list(in_order(lambda file: numpy.asarray(load_rgb(*file)), with_hashes(paths, hashes)))


def with_hashes(paths: Sequence[Path], hashes: Sequence[str]) -> list[tuple[Path, str]]:
    """Pair each path with its hash, or with an empty string if ``hashes`` is empty."""
    return list(zip(paths, hashes or [""] * len(paths), strict=True))
