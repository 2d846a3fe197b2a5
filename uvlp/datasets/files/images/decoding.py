"""Decode an image file to 8-bit RGB: accepted formats, size limits, orientation, colour conversion.

Only formats that Pillow decodes by itself are accepted: for others it starts external programs (Ghostscript
for EPS, whatever the file's name). The size is checked in the header before any pixel is decoded.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from uvlp.core.errors import UvlpError
from uvlp.core.files.foreign_files import BEGINNING_BYTES, wrong_content
from uvlp.datasets.files.images.metadata import ORIENTATION, orientation_tag, without_metadata

if TYPE_CHECKING:
    from PIL import Image

# MPO files (two photographs in one) are opened as JPEG.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
ALPHA, GREY = "alpha", "grey"
WIDE = ("I", "F")
"""Modes with 32 bits per channel, which have no defined conversion to 8 bits."""
TILE_SIDES = (322, 323)
STDERR = 2
LARGEST_PX = 2**30 // 4 // 3  # Pillow's limit for decompression bombs: a gibibyte of pixels
MOST_SCANS = 100
"""Limit of scans in a JPEG; each covers all pixels. Encoders write about 20; libtiff has the same limit."""
SCAN = b"\xff\xda"
LARGEST_BYTES = 8 * LARGEST_PX  # four channels of 16 bits, uncompressed

# Pillow's warnings about metadata do not name the file. Lost orientations are reported once per dataset
# instead. The filter is global because warning filters are shared by all threads.
warnings.filterwarnings("ignore", module=r"PIL\b")
logging.getLogger("PIL").setLevel(logging.CRITICAL)


class Decoded(NamedTuple):
    """An upright image of mode RGB.

    Attributes:
        image: the pixels.
        kind: ``ALPHA``, ``GREY`` or "": the kind of image in the file.
        turned: whether the orientation could be read; if not, the image is as stored.
    """

    image: Image.Image
    kind: str
    turned: bool


class _Budget:
    """Limits the pixels that all threads decode at the same time, so that large images fit in memory."""

    def __init__(self, px: int) -> None:
        self._total = self._free = px
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def reserve(self, px: int) -> Iterator[None]:
        px = min(px, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= px)
            self._free -= px
        try:
            yield
        finally:
            with self._changed:
                self._free += px
                self._changed.notify_all()


class _SilentTiff:
    """Suppresses libtiff's messages on standard error, which do not name the file; Pillow raises the errors.

    Standard error is shared by all threads: the first to enter redirects it, the last restores it.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._saved = threading.Lock(), 0, -1

    def __enter__(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._inside += 1
            if self._inside == 1:
                self._saved = os.dup(STDERR)
                with open(os.devnull, "wb") as devnull:
                    os.dup2(devnull.fileno(), STDERR)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._saved >= 0:
                os.dup2(self._saved, STDERR)
                os.close(self._saved)
                self._saved = -1


_budget = _Budget(LARGEST_PX)
_silent_tiff = _SilentTiff()


def decode(file: IO[bytes], path: Path) -> Decoded:
    """Decode the image in an open file.

    Args:
        file: at its beginning.
        path: for messages.

    Raises:
        UvlpError: damaged, truncated, too large, not an image, or of a mode without 8-bit conversion.
    """
    try:
        return _decoded(file, path)
    except (UvlpError, MemoryError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged data
        decoded = _without_metadata(file, path)
        if decoded is None:
            raise _unreadable(path, file, error) from error
        return decoded


def _without_metadata(file: IO[bytes], path: Path) -> Decoded | None:
    """Decode the file without its metadata; None if the pixels themselves cannot be decoded."""
    file.seek(0)
    try:
        stripped, exif_lost = without_metadata(file.read()) or (b"", False)
        decoded = _decoded(io.BytesIO(stripped), path)
        return decoded._replace(turned=decoded.turned and not exif_lost)
    except (UvlpError, MemoryError):
        raise
    except Exception:
        return None


def _decoded(file: IO[bytes], path: Path) -> Decoded:
    with _opened(file, path) as image:
        width_px, height_px = image.size
        if image.format == "JPEG":
            _check_scans(file, path)
        before = _before_loading(image, path)
        with _budget.reserve(width_px * height_px):
            with _silent_tiff if image.format == "TIFF" else contextlib.nullcontext():
                image.load()
            after = _orientation(image)
            return Decoded(_rgb(image, after or 1), _kind(image), bool(before and after))


def _opened(file: IO[bytes], path: Path) -> Image.Image:
    """Open an image, reading only its header."""
    from PIL import Image

    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        number = re.search(r"\d+", str(error))
        raise _too_large(path, f"{int(number[0]):,} pixels" if number else str(error)) from error
    width_px, height_px = image.size
    if width_px * height_px > LARGEST_PX:
        raise _too_large(path, f"{width_px} x {height_px} pixels")
    if image.mode in WIDE:
        raise ValueError("32 bits per channel")
    return image


def header_fits(file: IO[bytes], path: Path) -> bool:
    """Return whether the header is valid; if not, decoding gives the reason, or succeeds nevertheless.

    Raises:
        UvlpError: the image is too large.
    """
    try:
        with _opened(file, path):
            return True
    except (UvlpError, MemoryError):
        raise
    except Exception:  # decoders raise nearly anything on damaged data
        return False


def _check_scans(file: IO[bytes], path: Path) -> None:
    """Refuse a JPEG with too many scans: a few kilobytes can require thousands of passes over all pixels."""
    position = file.tell()
    file.seek(0)
    # The marker cannot occur in compressed data, where a zero follows every 0xff.
    scans = file.read().count(SCAN)
    file.seek(position)
    if scans > MOST_SCANS:
        raise UvlpError(
            f"the image {path} has too many scans",
            got=scans,
            allowed=f"at most {MOST_SCANS}",
            fix="save it again, or delete it",
        )


def _before_loading(image: Image.Image, path: Path) -> int:
    """Remove metadata of a TIFF file that Pillow may fail on while loading; return the orientation."""
    if image.format != "TIFF":
        return 1
    from PIL import TiffImagePlugin, TiffTags

    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    sides = [image.tag_v2.get(tag, 1) for tag in TILE_SIDES]
    if all(isinstance(side, int) for side in sides) and sides[0] * sides[1] > LARGEST_PX:
        raise _too_large(path, f"tiles of {sides[0]} x {sides[1]} pixels")
    orientation = _orientation(image)
    exif = image.getexif()
    for tag in TiffTags.TAGS_V2_GROUPS:
        if tag in exif:
            del exif[tag]  # nested directories that Pillow would parse
    return orientation


def _orientation(image: Image.Image) -> int:
    """The orientation (tag 274): 1 if there is none, 0 if the metadata cannot be read."""
    value = None
    with contextlib.suppress(Exception):  # Pillow parses malformed EXIF without checks
        value = image.getexif().get(ORIENTATION)
    exif = image.info.get("exif")
    if value is None and exif:
        try:
            value = orientation_tag(exif)
        except (struct.error, ValueError):
            return 0
    return next((method for method in range(2, 9) if value == method), 1)


def _rotated(image: Image.Image, orientation: int) -> Image.Image:
    from PIL.Image import Transpose

    methods = (
        *(Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM),
        *(Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90),
    )
    return image.transpose(methods[orientation - 2]) if orientation > 1 else image


def _rgb(image: Image.Image, orientation: int) -> Image.Image:
    import numpy
    from PIL import Image

    if image.mode.startswith("I;16"):
        upper = Image.fromarray((numpy.asarray(image) >> 8).astype(numpy.uint8))
        return _rotated(upper.convert("RGB"), orientation)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        return _rotated(white.convert("RGB"), orientation)
    return _rotated(image.convert("RGB"), orientation)


def _kind(image: Image.Image) -> str:
    if image.has_transparency_data:
        return ALPHA
    return GREY if image.mode in ("1", "L") or image.mode.startswith("I;16") else ""


def _too_large(path: Path, got: str) -> UvlpError:
    return UvlpError(
        f"the image {path} is too large",
        got=got,
        allowed=f"at most {LARGEST_PX:,} pixels",
        fix="resize it, or delete it",
    )


def _unreadable(path: Path, file: IO[bytes], error: Exception) -> UvlpError:
    from PIL import UnidentifiedImageError

    file.seek(0)
    beginning = file.read(BEGINNING_BYTES)
    got, fix = str(error) or type(error).__name__, "replace or delete it"
    other = wrong_content(beginning)
    if not beginning:
        got = "an empty file"
    elif other is not None:
        got, fix = f"{other.title} instead of the image", other.fix
    elif isinstance(error, UnidentifiedImageError):
        got = "not an image"
    return UvlpError(
        f"cannot read the image {path}",
        got=got,
        allowed=f"complete {', '.join(FORMATS)} files with 8 or 16 bits per channel",
        fix=fix,
    )
