"""One image file to 8-bit RGB: which formats, how large, how turned, and what its colours become.

Only formats that Pillow decodes by itself are tried: for others it starts programs (Ghostscript for EPS,
whatever the file is called). The size is known from the header before a pixel is decoded.
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
from uvlp.core.files.foreign_files import BEGINNING_BYTES, impostor
from uvlp.datasets.files.images.metadata import ORIENTATION, orientation_tag, without_metadata

if TYPE_CHECKING:
    from PIL import Image

# MPO, two photographs in one file, is opened as JPEG.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
ALPHA, GREY = "alpha", "grey"
WIDE = ("I", "F")
"""Modes of 32 bits per channel, which mean no 8-bit number."""
TILE_SIDES = (322, 323)
STDERR = 2
LARGEST_PX = 2**30 // 4 // 3  # Pillow warns of a decompression bomb from here on: a gibibyte of pixels
MOST_SCANS = 100
"""Of a JPEG, each of which goes over all pixels; encoders make about 20, and libtiff has this limit."""
SCAN = b"\xff\xda"
LARGEST_BYTES = 8 * LARGEST_PX  # four channels of 16 bits, not compressed

# Pillow warns of metadata without a file's name. What is lost is reported here instead, once per dataset;
# a filter per image would not do, because filters belong to all threads together.
warnings.filterwarnings("ignore", module=r"PIL\b")
logging.getLogger("PIL").setLevel(logging.CRITICAL)


class Decoded(NamedTuple):
    """An image of mode RGB, upright.

    Attributes:
        image: the pixels.
        kind: ``ALPHA``, ``GREY`` or "" for what the file held.
        turned: whether the orientation could be read; where it could not, the image is as it is stored.
    """

    image: Image.Image
    kind: str
    turned: bool


class _Budget:
    """Pixels that all threads together decode at a time: large images wait for each other, not for memory."""

    def __init__(self, px: int) -> None:
        self._total = self._free = px
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, px: int) -> Iterator[None]:
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
    """libtiff prints what is wrong by itself, without the file's name; what it means is raised by Pillow.

    Standard error belongs to all threads: the first that enters turns it away, the last puts it back.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._kept = threading.Lock(), 0, -1

    def __enter__(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._inside += 1
            if self._inside == 1:
                self._kept = os.dup(STDERR)
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), STDERR)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._kept >= 0:
                os.dup2(self._kept, STDERR)
                os.close(self._kept)
                self._kept = -1


_budget = _Budget(LARGEST_PX)
_silent_tiff = _SilentTiff()


def decode(file: IO[bytes], path: Path) -> Decoded:
    """The image in an opened file.

    Args:
        file: read from its beginning.
        path: its name for messages.

    Raises:
        UvlpError: damaged, truncated, too large, no image, or of a kind without an 8-bit meaning.
    """
    try:
        return _decoded(file, path)
    except (UvlpError, MemoryError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged data
        decoded = _pixels_alone(file, path)
        if decoded is None:
            raise _unreadable(path, file, error) from error
        return decoded


def _pixels_alone(file: IO[bytes], path: Path) -> Decoded | None:
    """A second attempt without the metadata; None where the pixels are what cannot be decoded."""
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
        with _budget.taken(width_px * height_px):
            with _silent_tiff if image.format == "TIFF" else contextlib.nullcontext():
                image.load()
            after = _orientation(image)
            return Decoded(_rgb(image, after or 1), _kind(image), bool(before and after))


def _opened(file: IO[bytes], path: Path) -> Image.Image:
    """The image of which the header alone is read."""
    from PIL import Image

    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\d+", str(error))
        raise _too_large(path, f"{int(found[0]):,} pixels" if found else str(error)) from error
    width_px, height_px = image.size
    if width_px * height_px > LARGEST_PX:
        raise _too_large(path, f"{width_px} x {height_px} pixels")
    if image.mode in WIDE:
        raise ValueError("32 bits per channel")
    return image


def header_fits(file: IO[bytes], path: Path) -> bool:
    """Whether the header alone is that of an image; where it is not, decoding tells why, or copes with it.

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
    """A progressive JPEG of a few kilobytes can ask for thousands of passes over all its pixels."""
    place = file.tell()
    file.seek(0)
    # The mark cannot stand among compressed numbers, where a zero follows every 0xff.
    scans = file.read().count(SCAN)
    file.seek(place)
    if scans > MOST_SCANS:
        raise UvlpError(
            f"the image {path} is coded in too many scans",
            got=scans,
            allowed=f"at most {MOST_SCANS}",
            fix="save it anew, or remove it",
        )


def _before_loading(image: Image.Image, path: Path) -> int:
    """Remove what Pillow would stumble over while it loads, and turns, a TIFF file; the orientation."""
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
            del exif[tag]  # further directories, which it would parse
    return orientation


def _orientation(image: Image.Image) -> int:
    """Tag 274, 1 where there is none, 0 where the metadata cannot be read."""
    value = None
    with contextlib.suppress(Exception):  # EXIF is written by anything and parsed without checks
        value = image.getexif().get(ORIENTATION)
    exif = image.info.get("exif")
    if value is None and exif:
        try:
            value = orientation_tag(exif)
        except (struct.error, ValueError):
            return 0
    return next((method for method in range(2, 9) if value == method), 1)


def _turned(image: Image.Image, orientation: int) -> Image.Image:
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
        return _turned(upper.convert("RGB"), orientation)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        return _turned(white.convert("RGB"), orientation)
    return _turned(image.convert("RGB"), orientation)


def _kind(image: Image.Image) -> str:
    if image.has_transparency_data:
        return ALPHA
    return GREY if image.mode in ("1", "L") or image.mode.startswith("I;16") else ""


def _too_large(path: Path, got: str) -> UvlpError:
    return UvlpError(
        f"the image {path} is too large",
        got=got,
        allowed=f"at most {LARGEST_PX:,} pixels",
        fix="scale it down, or remove it",
    )


def _unreadable(path: Path, file: IO[bytes], error: Exception) -> UvlpError:
    from PIL import UnidentifiedImageError

    file.seek(0)
    beginning = file.read(BEGINNING_BYTES)
    got, fix = str(error) or type(error).__name__, "replace or remove it"
    other = impostor(beginning)
    if not beginning:
        got = "an empty file"
    elif other is not None:
        got, fix = f"{other.title}, not the image", other.fix
    elif isinstance(error, UnidentifiedImageError):
        got = "no image"
    return UvlpError(
        f"cannot read the image {path}",
        got=got,
        allowed=f"whole {', '.join(FORMATS)} files with 8 or 16 bits per channel",
        fix=fix,
    )
