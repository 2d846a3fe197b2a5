"""Decoding: broken metadata, size limits, formats, files that are not images."""

import io
import os
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image, PngImagePlugin

from uvlp.core.errors import UvlpError
from uvlp.datasets.files.images import decoding
from uvlp.datasets.files.images.image_files import load_converted, load_rgb

# As in a run; pytest would turn Pillow's warnings into errors.
pytestmark = pytest.mark.filterwarnings("ignore::Warning:PIL")

PIXELS = numpy.arange(4 * 6 * 3, dtype=numpy.uint8).reshape(4, 6, 3) * 3
TURNED = numpy.rot90(PIXELS, k=-1)
ASCII, SHORT, LONG, RATIONAL, UNDEFINED, NEGATIVE = 2, 3, 4, 5, 7, 10
ORIENTATION = 274


def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack("<HHI4s", tag, kind, count, value)


def offset(value: int) -> bytes:
    return struct.pack("<I", value)


UPRIGHT_IS_6 = entry(ORIENTATION, SHORT, 1, offset(6))


def tiff(*entries: bytes, rest: bytes = b"") -> bytes:
    """EXIF, or the metadata of a TIFF file, with one directory."""
    return b"II*\0" + offset(8) + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4) + rest


BROKEN_EXIF = {
    "a negative rational": (
        UPRIGHT_IS_6,
        entry(282, NEGATIVE, 1, offset(38)),
    ),
    "a text instead of a number": (UPRIGHT_IS_6, entry(296, ASCII, 4, b"abc\0")),
    "a number too large for its type": (UPRIGHT_IS_6, entry(256, LONG, 1, b"\xff" * 4)),
    "a text beyond the end, before the orientation": (entry(271, ASCII, 99, offset(10**6)), UPRIGHT_IS_6),
    "a directory beyond the end": (UPRIGHT_IS_6, entry(34665, LONG, 1, offset(10**6))),
    "a directory that is a text": (UPRIGHT_IS_6, entry(34853, ASCII, 4, b"abc\0")),
    "a circular directory": (UPRIGHT_IS_6, entry(34665, LONG, 1, offset(8))),
    "an unknown type": (entry(270, 99, 1, b"abcd"), UPRIGHT_IS_6),
}


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    return file.getvalue()


def chunk(name: bytes, content: bytes, damage: int = 0) -> bytes:
    crc = zlib.crc32(name + content) ^ damage
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def with_chunk(*chunks: bytes) -> bytes:
    whole = png()
    return whole[:33] + b"".join(chunks) + whole[33:]


@pytest.mark.parametrize("name", BROKEN_EXIF)
@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
def test_the_orientation_is_read_despite_other_metadata(name: str, form: str, tmp_path: Path) -> None:
    exif = tiff(*BROKEN_EXIF[name], rest=struct.pack("<ii", -1, 3))
    exact: dict[str, dict[str, Any]] = {
        "PNG": {},
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 100, "subsampling": 0},
    }
    options = exact[form]
    Image.fromarray(PIXELS).save(tmp_path / "plain", form, **options)
    Image.fromarray(PIXELS).save(tmp_path / "a.png", form, exif=b"Exif\0\0" + exif, **options)
    found = load_converted(tmp_path / "a.png")
    expected = numpy.rot90(numpy.asarray(load_rgb(tmp_path / "plain")), k=-1)
    numpy.testing.assert_array_equal(found.image, expected)
    assert found.turned


@pytest.mark.parametrize("exif", [b"garbage", b"II*\0", tiff(UPRIGHT_IS_6)[:14]])
def test_an_unreadable_orientation_is_reported(exif: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(with_chunk(chunk(b"eXIf", exif)))
    found = load_converted(tmp_path / "a.png")
    numpy.testing.assert_array_equal(found.image, PIXELS)
    assert not found.turned


def test_exif_with_a_wrong_checksum_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(with_chunk(chunk(b"eXIf", tiff(UPRIGHT_IS_6), damage=1)))
    found = load_converted(tmp_path / "a.png")
    numpy.testing.assert_array_equal(found.image, PIXELS)
    assert not found.turned


BOMB = zlib.compress(bytes(PngImagePlugin.MAX_TEXT_CHUNK + 1))
BROKEN_CHUNKS = {
    "a text that expands too far": chunk(b"zTXt", b"key\0\0" + BOMB),
    "an international text that expands too far": chunk(b"iTXt", b"key\0\1\0\0\0" + BOMB),
    "a profile that expands too far": chunk(b"iCCP", b"key\0\0" + BOMB),
    "a wrong checksum": chunk(b"tEXt", b"key\0value", damage=1),
    "a gamma that is too short": chunk(b"gAMA", b"\0"),
    "a size that is too short": chunk(b"pHYs", b"\0"),
    "an animation of no length": chunk(b"acTL", b"\0"),
    "a frame outside": chunk(b"acTL", bytes(8)) + chunk(b"fcTL", b"\xff" * 26),
    "an XMP that is not text": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0\xff\xfe"),
}


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
def test_the_pixels_of_a_png_do_not_need_its_other_chunks(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(with_chunk(BROKEN_CHUNKS[name]))
    numpy.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), PIXELS)


def segment(marker: int, content: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


BROKEN_SEGMENTS = {
    "a short JFIF": segment(0xE0, b"JFIF\0"),
    "a short Adobe": segment(0xEE, b"Adobe"),
    "a second picture that is missing": segment(0xE2, b"MPF\0" + tiff(entry(45056, UNDEFINED, 4, b"0100"))),
    "a second picture of garbage": segment(0xE2, b"MPF\0garbage"),
    "a profile in five parts": segment(0xE2, b"ICC_PROFILE\0\1\5xx"),
    "a Photoshop block that ends": segment(0xED, b"Photoshop 3.0\x008BIM\x04"),
    "an XMP that is not text": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0\xff\xfe"),
}


@pytest.mark.parametrize("name", BROKEN_SEGMENTS)
def test_the_pixels_of_a_jpeg_do_not_need_its_other_segments(name: str, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[:2] + BROKEN_SEGMENTS[name] + whole[20:])
    numpy.testing.assert_array_equal(load_rgb(tmp_path / "a.jpg"), load_rgb(tmp_path / "whole.jpg"))


BROKEN_TAGS = {
    "a description beyond the end": [entry(270, ASCII, 99, offset(10**6))],
    "a resolution that is a text": [entry(282, ASCII, 4, b"abc\0"), entry(283, ASCII, 4, b"abc\0")],
    "EXIF beyond the end": [UPRIGHT_IS_6, entry(34665, LONG, 1, offset(10**6))],
    "GPS that is a text": [entry(34853, ASCII, 4, b"abc\0")],
    "a profile that is a number": [entry(34675, LONG, 1, offset(3))],
}


@pytest.mark.parametrize("name", BROKEN_TAGS)
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_the_pixels_of_a_tiff_do_not_need_its_other_tags(name: str, compression: str, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", compression=compression)
    whole = (tmp_path / "a.tif").read_bytes()
    (start,) = struct.unpack_from("<I", whole, 4)
    (count,) = struct.unpack_from("<H", whole, start)
    own = [whole[start + 2 + 12 * row : start + 14 + 12 * row] for row in range(count)]
    entries = sorted([*own, *BROKEN_TAGS[name]], key=lambda tag: struct.unpack_from("<H", tag))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    (tmp_path / "a.tif").write_bytes(whole[:4] + offset(len(whole)) + whole[8:] + directory)
    expected = TURNED if UPRIGHT_IS_6 in entries else PIXELS
    numpy.testing.assert_array_equal(load_rgb(tmp_path / "a.tif"), expected)


def refused(path: Path) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        load_rgb(path)
    assert str(path) in caught.value.what
    return caught.value


def header_alone(width_px: int, height_px: int) -> bytes:
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return png()[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width_px", "height_px", "got"),
    [(10_000, 10_000, "10000 x 10000 pixels"), (40_000, 40_000, "1,600,000,000 pixels")],
)
def test_too_many_pixels_are_refused_from_the_header(
    width_px: int, height_px: int, got: str, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(header_alone(width_px, height_px))
    error = refused(tmp_path / "a.png")
    assert "too large" in error.what
    assert error.got == got
    assert error.allowed == "at most 89,478,485 pixels"


def test_an_oversized_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    os.truncate(tmp_path / "a.png", decoding.LARGEST_BYTES + 1)  # a sparse file, which takes no space
    assert "too large" in refused(tmp_path / "a.png").what


def test_the_pixels_decoded_by_all_threads_are_bounded() -> None:
    budget = decoding._Budget(10)
    inside, most, barrier = 0, 0, threading.Barrier(4)

    def decode(px: int) -> None:
        nonlocal inside, most
        barrier.wait()
        for _ in range(50):
            with budget.reserve(px):
                inside += min(px, 10)
                most = max(most, inside)
                inside -= min(px, 10)

    threads = [threading.Thread(target=decode, args=(px,)) for px in (6, 6, 10, 99)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    assert 6 <= most <= 10


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


def page() -> bytes:
    return b"\xef\xbb\xbf\n  <!DOCTYPE html><html><body>log in</body></html>"


@pytest.mark.parametrize(
    ("content", "got", "fix"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer", "git lfs pull"),
        (b"/annex/objects/SHA256E-s10--0.png\n", "git-annex pointer", "git annex get"),
        (page(), "HTML page", "download"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML text", "download"),
        (b'<?xml version="1.0"?><svg xmlns="x"/>', "SVG drawing", "convert"),
        (b'{"error": "not found"}', "JSON text", "download"),
        (EPS, "not an image", "replace"),
        (b"", "an empty file", "replace"),
    ],
)
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_files_that_are_not_images_are_refused(
    content: bytes, got: str, fix: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    error = refused(tmp_path / name)
    assert got in str(error.got)
    assert fix in str(error.fix)
    assert "JPEG, PNG" in str(error.allowed)


def named_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (named_pipe, "a named pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (lambda path: path.mkdir(), "a folder"),
    ],
)
def test_a_file_that_is_not_regular_is_not_opened(
    make: Callable[[Path], None], got: str, tmp_path: Path
) -> None:
    make(tmp_path / "a.png")
    assert refused(tmp_path / "a.png").got == got


def scans(count: int) -> bytes:
    """A progressive JPEG with that many scans, the last one repeated."""
    content = io.BytesIO()
    Image.fromarray(PIXELS).save(content, "JPEG", progressive=True)
    last = content.getvalue().rindex(b"\xff\xda")
    head, scan = content.getvalue()[:last], content.getvalue()[last:-2]
    return head + scan * (count - head.count(b"\xff\xda")) + b"\xff\xd9"


def test_a_jpeg_with_thousands_of_scans_is_not_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(scans(20))
    load_rgb(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(scans(5_000))
    with pytest.raises(UvlpError) as caught:
        load_rgb(tmp_path / "a.jpg")
    assert caught.value.got == 5_000 and caught.value.allowed == "at most 100"
