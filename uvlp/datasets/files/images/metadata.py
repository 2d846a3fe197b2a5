"""Strip metadata that is not needed for the pixels, for image files whose metadata cannot be parsed.

Phones, cameras and editors write EXIF, XMP, ICC profiles, previews and comments that Pillow fails on although
any viewer shows the image. Everything that affects pixels is kept byte for byte, so damaged images remain
damaged; of the rest only EXIF is kept, if it is complete, for the orientation.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

PNG, JPEG, RIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF"
PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
WEBP_KEPT = (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
EXTENDED, WEBP_EXIF = b"VP8X", b"EXIF"
# ICC and XMP flags of a VP8X chunk (WebP container specification)
WEBP_METADATA_FLAGS = 0b0010_0100
# The JFIF and Adobe segments define the colour space; both have a minimum length.
JPEG_KEPT = {0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}
JPEG_EXIF, START_OF_SCAN = 0xE1, 0xDA
EXIF_MARKS = (b"eXIf", b"EXIF", b"Exif\0\0")
ORIENTATION, SHORT, LONG = 274, 3, 4
TIFF_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
# Tags of TIFF 6.0 and its technical notes that locate and describe the pixels
TIFF_KEPT = {
    *(254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320),
    *(322, 323, 324, 325, 332, 333, 334, 336, 338, 339, 347, 512, 513, 514, 529, 530, 532),
}


def without_metadata(content: bytes) -> tuple[bytes, bool] | None:
    """Return the file without metadata, and whether EXIF was dropped; None for other formats.

    Raises:
        struct.error, IndexError: the container structure is damaged.
    """
    for signature, strip in _STRIPPERS.items():
        if content.startswith(signature):
            stripped = strip(content)
            return stripped, any(mark in content and mark not in stripped for mark in EXIF_MARKS)
    return None


def orientation_tag(exif: bytes) -> int | None:
    """Read only the orientation from EXIF data; None if it has none.

    Raises:
        struct.error, ValueError: the data is truncated or not EXIF.
    """
    content = exif.removeprefix(b"Exif\0\0")
    for tag, kind, count, value in _entries(content):
        if tag == ORIENTATION and count == 1 and kind in (SHORT, LONG):
            form = _order(content) + ("H" if kind == SHORT else "I")
            return int(struct.unpack_from(form, value)[0])
    return None


def _order(tiff: bytes) -> str:
    if tiff[:4] not in TIFF_ORDERS:
        raise ValueError("no TIFF header")
    return TIFF_ORDERS[tiff[:4]]


def _entries(tiff: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Tag, type, count and the four bytes of the value or its offset, of the first directory."""
    order = _order(tiff)
    (offset,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, offset)
    for row in range(count):
        yield struct.unpack_from(f"{order}HHI4s", tiff, offset + 2 + 12 * row)


def _png(content: bytes) -> bytes:
    kept, position = [PNG], len(PNG)
    while position + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        chunk = content[position : position + 12 + length]
        position += len(chunk)
        intact_exif = name == b"eXIf" and chunk[-4:] == struct.pack(">I", zlib.crc32(chunk[4:-4]))
        if name in PNG_KEPT or intact_exif:
            kept.append(chunk)
    return b"".join(kept)


def _jpeg(content: bytes) -> bytes:
    kept, position = [JPEG], len(JPEG)
    while position < len(content):
        marker = content[position + 1]
        if content[position] != 0xFF or marker == START_OF_SCAN:
            break
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        (length,) = struct.unpack_from(">H", content, position + 2)
        segment = content[position : position + 2 + length]
        position += len(segment)
        if _needed_in_jpeg(marker, segment[4:]):
            kept.append(segment)
    return b"".join([*kept, content[position:]])


def _needed_in_jpeg(marker: int, content: bytes) -> bool:
    if marker in JPEG_KEPT:
        prefix, shortest = JPEG_KEPT[marker]
        return content.startswith(prefix) and len(content) >= shortest
    is_comment, is_application = marker == 0xFE, 0xE0 <= marker <= 0xEF
    exif = marker == JPEG_EXIF and content.startswith(b"Exif\0\0")
    return exif or not (is_comment or is_application)


def _webp(content: bytes) -> bytes:
    kept, position = [], 12
    while position + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, position)
        chunk = content[position : position + 8 + length + length % 2]
        position += len(chunk)
        if name == EXTENDED:
            flags = chunk[8] & ~WEBP_METADATA_FLAGS
            kept.append(chunk[:8] + bytes([flags]) + chunk[9:])
        elif name in WEBP_KEPT or (name == WEBP_EXIF and len(chunk) >= 8 + length):
            kept.append(chunk)
    body = b"WEBP" + b"".join(kept)
    return RIFF + struct.pack("<I", len(body)) + body


def _tiff(content: bytes) -> bytes:
    """Append a new first directory with only the needed tags, and point the header to it."""
    order = _order(content)
    kept = [struct.pack(f"{order}HHI4s", *entry) for entry in _entries(content) if entry[0] in TIFF_KEPT]
    content += b"\0" * (len(content) % 2)
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
    return content[:4] + struct.pack(f"{order}I", len(content)) + content[8:] + directory


_STRIPPERS: dict[bytes, Callable[[bytes], bytes]] = {
    PNG: _png,
    JPEG: _jpeg,
    RIFF: _webp,
    **dict.fromkeys(TIFF_ORDERS, _tiff),
}
