"""Image files to 8-bit RGB arrays, upright, at their own size or squashed to a square.

One rule for every file: the first frame, turned as its EXIF orientation says, transparent parts over
white, 16-bit grey cut to its upper 8 bits (as PIL does for 16-bit colour), everything else by PIL's
``convert("RGB")``. Differs from the published loader (``convert("RGB")`` alone) only for files with
an EXIF orientation, transparency or 16-bit grey.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import BEGINNING_BYTES, begins, check_regular, check_size, impostor
from uvlp.core.hashing import read_hashed
from uvlp.core.prefetch import in_order
from uvlp.datasets.files.images.decoding import LARGEST_BYTES, Decoded, decode, header_fits

if TYPE_CHECKING:
    import numpy
    from PIL import Image


EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # evaluation.md 1.3
REVISION = 1  # raise when the same file gives other pixels; part of every dataset's content hash


def load_rgb(path: Path, sha256: str = "") -> Image.Image:
    """The whole file decoded, mode RGB.

    Args:
        sha256: what the file must hold, byte for byte; empty: anything.

    Raises:
        UvlpError: the file is no regular one, damaged, truncated, too large, no image, of a kind without an
            8-bit meaning, or has other bytes than ``sha256``.
    """
    return load_converted(path, sha256).image


def load_converted(path: Path, sha256: str = "") -> Decoded:
    """As :func:`load_rgb`, and what is known of the file.

    Raises:
        UvlpError: see :func:`load_rgb`.
    """
    try:
        size = check_regular(path, "image")
        check_size(path, "image", size, LARGEST_BYTES)
        # Decoded is what was compared, not what stands in the file a moment later.
        content = read_hashed(path, sha256) if sha256 else path.read_bytes()
        return decode(io.BytesIO(content), path)
    except OSError as error:
        raise UvlpError(f"cannot read the image {path}", got=error.strerror or str(error)) from error


def check_header(path: Path) -> None:
    """Refuse a file that is called an image and whose beginning tells that it is none that can be read.

    Looked at whenever a file is read for its hash, so that it is known before hours of work on the others.

    Raises:
        UvlpError: as :func:`load_rgb`, for what a header tells.
        OSError: the file cannot be read.
    """
    if not path.name.lower().endswith(EXTENSIONS):
        return
    check_size(path, "image", check_regular(path, "image"), LARGEST_BYTES)
    with path.open("rb") as file:
        fits = header_fits(file, path)
    if not fits:
        load_rgb(path)  # raises with the reason, or reads it without its metadata


def check_pointers(paths: Iterable[Path]) -> None:
    """Refuse small texts in place of images (a repository cloned without git-lfs), and files too large.

    Nothing is decoded.

    Raises:
        UvlpError: the first of them is named.
        OSError: a file is not there.
    """
    for path in paths:
        size = os.stat(path).st_size
        check_size(path, "image", size, LARGEST_BYTES)
        if size <= BEGINNING_BYTES and impostor(begins(path)):
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
    import numpy

    pixels = numpy.empty((len(paths), size_px, size_px, 3), dtype=numpy.uint8)
    loaded = in_order(lambda file: squash(load_rgb(*file), size_px), with_hashes(paths, hashes))
    for row, image in enumerate(loaded):
        pixels[row] = image
    return pixels


def load_originals(paths: Sequence[Path], hashes: Sequence[str] = ()) -> list[numpy.ndarray]:
    """uint8 [H, W, 3] per file, in the order of ``paths``; ``hashes`` as for :func:`load_rgb`."""
    import numpy

    return list(in_order(lambda file: numpy.asarray(load_rgb(*file)), with_hashes(paths, hashes)))


def with_hashes(paths: Sequence[Path], hashes: Sequence[str]) -> list[tuple[Path, str]]:
    """Each path with the hash of its file, or with none where there are no hashes."""
    return list(zip(paths, hashes or [""] * len(paths), strict=True))
