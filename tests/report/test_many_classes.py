"""A run of 200 classes: the page fits, and says what was left out."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from PIL import Image

from tests.report.finished_store import fill
from uvlp.artifacts.store import Store
from uvlp.cli.commands.report import chosen, opener
from uvlp.core.progress import Progress
from uvlp.report import page

pytestmark = pytest.mark.long
CLASSES, TRAIN, VAL, SIDE_PX = 200, 30, 5, 64


def draw(root: Path) -> None:
    """An image folder of smooth noise."""
    for split, count in (("train", TRAIN), ("val", VAL)):
        for label in range(CLASSES):
            folder = root / split / f"class_{label:03d}"
            folder.mkdir(parents=True)
            for index in range(count):
                generator = numpy.random.default_rng([label, index, count])
                noise = generator.integers(0, 256, (8, 8, 3), dtype=numpy.uint8)
                image = Image.fromarray(noise).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
                image.save(folder / f"{index}.jpg", quality=90)


def test_two_hundred_classes_fit(tmp_path: Path) -> None:
    draw(tmp_path / "data")
    store = Store(tmp_path / "store")
    methods = ("random", "herding", "vlcp", "uvlp")
    fill(store.root, f"folder:{tmp_path / 'data'}", ipc=10, methods=methods, side_px=SIDE_PX)
    runs = chosen([], store)
    made = page.build(runs, opener(None, store), Progress())
    text = page.html(made, Progress())
    assert len(text.encode()) < 30_000_000
    for line in ("of 200 classes", "Of 10 images per class", "The map shows 10 of 200 classes"):
        assert line in text
    assert text.count("<details") > CLASSES
