"""`distilled`: a folder that others load, and images that must not be black."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from uvlp.artifacts import distilled
from uvlp.artifacts.distilled import Entry
from uvlp.core.errors import UvlpError


def entry(label: int, slot: int, source: str = "") -> Entry:
    name = f"class{label}"
    return Entry(
        file_name=f"{name}/{slot:05d}.png", label=label, class_id=name, class_name=name, source=source
    )


ENTRIES = [entry(label, slot) for label in range(2) for slot in range(12)]
IMAGES = [np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8) for i in range(24)]


def write(folder: Path) -> None:
    distilled.write(folder, ENTRIES, IMAGES, [IMAGES[i] for i in distilled.sheet_rows(ENTRIES)])


def test_torchvision_loads_the_folder(tmp_path: Path) -> None:
    write(tmp_path)
    found = ImageFolder(str(tmp_path / "train"))
    assert found.classes == ["class0", "class1"] and len(found) == 24


def test_images_and_rows_read_back_exactly(tmp_path: Path) -> None:
    write(tmp_path)
    entries = distilled.read_entries(tmp_path)
    assert entries == ENTRIES
    for expected, row in zip(IMAGES, entries, strict=True):
        assert np.array_equal(distilled.read_image(tmp_path, row), expected)


def test_the_sheet_shows_ten_per_class_in_rows(tmp_path: Path) -> None:
    write(tmp_path)
    with Image.open(tmp_path / distilled.SHEET) as sheet:
        step_px = distilled.SHEET_CELL_PX + distilled.SHEET_GAP_PX
        assert sheet.size == (10 * step_px, 2 * step_px)


def test_a_black_image_stops_with_its_class_and_slot() -> None:
    images = [*IMAGES[:23], np.zeros((8, 8, 3), dtype=np.uint8)]
    with pytest.raises(UvlpError, match=r"class1/00011.png of class class1 .* is black"):
        distilled.check(ENTRIES, images)


def test_an_image_of_one_colour_stops_too() -> None:
    images = [np.full((8, 8, 3), 9, dtype=np.uint8), *IMAGES[1:]]
    with pytest.raises(UvlpError, match="of one colour"):
        distilled.check(ENTRIES, images)


def test_a_real_image_may_be_black() -> None:
    distilled.check([entry(0, 0, source="train/0/a.png")], [np.zeros((8, 8, 3), dtype=np.uint8)])
