"""Loading and squashing images of all kinds (golden `preprocess`: test_golden_inputs)."""

from pathlib import Path

import numpy
import pytest
from PIL import Image

from uvlp.core.errors import UvlpError
from uvlp.datasets.files.images.image_files import load_originals, load_rgb, load_squashed, squash


def ramp(width_px: int = 6, height_px: int = 4) -> numpy.ndarray:
    """uint8 [H, W, 3] with different values everywhere."""
    return numpy.arange(height_px * width_px * 3, dtype=numpy.uint8).reshape(height_px, width_px, 3) * 3


def test_an_image_of_the_target_size_is_unchanged() -> None:
    numpy.testing.assert_array_equal(squash(Image.fromarray(ramp(5, 5)), 5), ramp(5, 5))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.jpg"])
def test_the_format_is_detected_from_the_content(name: str, tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / name, format="PNG")
    numpy.testing.assert_array_equal(load_rgb(tmp_path / name), ramp())


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = ramp()[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "a.png")
    numpy.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), numpy.stack([grey] * 3, axis=2))


def test_sixteen_bit_grey_keeps_its_upper_bits(tmp_path: Path) -> None:
    grey = numpy.array([[0, 255, 256], [40_000, 65_279, 65_535]], dtype=numpy.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    numpy.testing.assert_array_equal(load_rgb(tmp_path / "a.png").getchannel(0), grey >> 8)


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    pixels = numpy.array([[[200, 10, 10, 255], [200, 10, 10, 0]]], dtype=numpy.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    numpy.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), [[[200, 10, 10], [255, 255, 255]]])


def test_a_transparent_palette_entry_becomes_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=bytes([255, 0]))
    numpy.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), [[[10, 20, 30], [255, 255, 255]]])


def test_cmyk_is_converted(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = numpy.asarray(load_rgb(tmp_path / "a.jpg")).mean(axis=(0, 1))
    assert red > 250
    assert green < 5
    assert blue < 5


def test_an_image_is_rotated_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was rotated by 90 degrees
    Image.fromarray(ramp()).save(tmp_path / "a.png", exif=exif)
    numpy.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), numpy.rot90(ramp(), k=-1))


def damaged(folder: Path, kind: str) -> Path:
    Image.fromarray(numpy.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=numpy.uint8)).save(
        folder / "whole.png"
    )
    whole = (folder / "whole.png").read_bytes()
    Image.open(folder / "whole.png").save(folder / "whole.jpg")
    jpeg = (folder / "whole.jpg").read_bytes()
    path = folder / "bad.png"
    content = {
        "empty": b"",
        "text": b"this is no image\n",
        "cut png": whole[: len(whole) // 2],
        "cut jpeg": jpeg[: len(jpeg) // 2],
        "header only": whole[:20],
        "flipped": whole[:60] + bytes(byte ^ 255 for byte in whole[60:200]) + whole[200:],
    }
    path.write_bytes(content[kind])
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "cut png", "cut jpeg", "header only", "flipped"])
def test_a_damaged_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = damaged(tmp_path, kind)
    with pytest.raises(UvlpError) as caught:
        load_rgb(path)
    assert caught.value.what == f"cannot read the image {path}"
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        load_rgb(tmp_path / "gone.png")
    assert "gone.png" in caught.value.what and caught.value.got == "No such file or directory"


def test_32_bits_per_channel_are_refused(tmp_path: Path) -> None:
    Image.fromarray(numpy.ones((2, 2), dtype=numpy.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UvlpError) as caught:
        load_rgb(tmp_path / "a.tif")
    assert "a.tif" in caught.value.what and caught.value.got == "32 bits per channel"


def test_many_files_keep_their_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{value}.png" for value in range(20)]
    for value, path in enumerate(paths):
        Image.new("RGB", (4 + value % 3, 4), (value, value, value)).save(path)
    squashed, originals = load_squashed(paths, 3), load_originals(paths)
    assert squashed.shape == (20, 3, 3, 3)
    assert squashed.dtype == numpy.uint8
    assert squashed[:, 0, 0, 0].tolist() == list(range(20))
    assert [image.shape for image in originals] == [(4, 4 + value % 3, 3) for value in range(20)]
