"""`distilled`: a folder that torchvision loads, without black images."""

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
    dataset = ImageFolder(str(tmp_path / "train"))
    assert dataset.classes == ["class0", "class1"] and len(dataset) == 24


def test_images_and_rows_read_back_exactly(tmp_path: Path) -> None:
    write(tmp_path)
    entries = distilled.read_entries(tmp_path)
    assert entries == ENTRIES
    for expected, row in zip(IMAGES, entries, strict=True):
        assert np.array_equal(distilled.read_image(tmp_path, row), expected)


def test_contact_sheet_shows_ten_images_per_class(tmp_path: Path) -> None:
    write(tmp_path)
    with Image.open(tmp_path / distilled.SHEET) as sheet:
        step_px = distilled.SHEET_CELL_PX + distilled.SHEET_GAP_PX
        assert sheet.size == (10 * step_px, 2 * step_px)


def test_black_image_is_refused() -> None:
    images = [*IMAGES[:23], np.zeros((8, 8, 3), dtype=np.uint8)]
    with pytest.raises(UvlpError) as caught:
        distilled.check(ENTRIES, images)
    assert "class1/00011.png of class class1" in caught.value.what and caught.value.what.endswith("black")


def test_image_of_one_colour_is_refused() -> None:
    images = [np.full((8, 8, 3), 9, dtype=np.uint8), *IMAGES[1:]]
    with pytest.raises(UvlpError) as caught:
        distilled.check(ENTRIES, images)
    assert caught.value.what.endswith("of one colour")


def test_real_image_may_be_black() -> None:
    distilled.check([entry(0, 0, source="train/0/a.png")], [np.zeros((8, 8, 3), dtype=np.uint8)])
