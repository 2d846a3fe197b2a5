"""Tiny folders in the layouts of the published datasets."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy
import pytest
from PIL import Image

from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress


def jpeg(number: int, size_px: tuple[int, int] = (9, 7), mode: str = "RGB") -> bytes:
    """A small image, different for each number."""
    random = numpy.random.default_rng(number)
    pixels = random.integers(0, 256, (size_px[1], size_px[0], 3), dtype=numpy.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG")
    return buffer.getvalue()


def image_name(split: str, identity: str, number: int) -> str:
    """File names as in ImageNet."""
    return f"{identity}_{number}.JPEG" if split == "train" else f"ILSVRC2012_val_{number:08d}.JPEG"


def fill(
    root: Path,
    ids: Iterable[str],
    counts: tuple[int, int] = (2, 1),
    content: Callable[[int], bytes] = jpeg,
) -> Path:
    """Create `train/<id>/` and `val/<id>/` with that many images each."""
    number = 0
    for identity in ids:
        for split, count in zip(("train", "val"), counts, strict=True):
            folder = root / split / identity
            folder.mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                (folder / image_name(split, identity, number)).write_bytes(content(number))
                number += 1
    return root


def opened(
    name: str, data: Path, cache: Path, variant: str = "", progress: Progress | None = None
) -> Dataset:
    """Open a dataset by name like the pipeline."""
    spec = DatasetSpec(name=name, data=str(data), variant=variant)
    dataset: Dataset = plugins.load("datasets", name).open_dataset(spec, cache, progress)
    return dataset


def refusal(name: str, data: Path, cache: Path, variant: str = "") -> UvlpError:
    """The error when a dataset is opened."""
    with pytest.raises(UvlpError) as caught:
        opened(name, data, cache, variant)
    assert "\n" not in str(caught.value)
    return caught.value
