"""Fixtures: a cache folder and small datasets of real image files."""

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from PIL import Image

from tests.datasets.published import fill
from uvlp.datasets.files.class_lists import wordnet_classes

MakeFolder = Callable[..., Path]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "store" / "datasets"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with imagenette2/ in it."""
    fill(tmp_path / "data" / "imagenette2", [entry.id for entry in wordnet_classes("imagenette")])
    return tmp_path / "data"


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """``make_folder(cat=(3, 2), dog=(4, 1))``: a dataset with that many training and validation images."""

    def make(size_px: tuple[int, int] = (12, 12), **counts: tuple[int, int]) -> Path:
        root = tmp_path / "set"
        random = numpy.random.default_rng(0)
        for name, per_split in counts.items():
            for split, count in zip(("train", "val"), per_split, strict=True):
                (root / split / name).mkdir(parents=True)
                for number in range(count):
                    pixels = random.integers(0, 256, (size_px[1], size_px[0], 3), dtype=numpy.uint8)
                    Image.fromarray(pixels).save(root / split / name / f"{number}.png")
        return root

    return make
