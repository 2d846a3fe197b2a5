"""Requests of the command line that are refused before any work, and datasets of noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from uvlp.core.errors import UvlpError

Call = Callable[..., UvlpError]
NANO = ("digits", "2", "--profile", "nano", "--repeats", "1")
RDED = (*NANO, "--protocol", "rded", "--network", "conv3", "--method", "vlcp")


def folder(root: Path, classes: int, train: int, val: int) -> Path:
    """Write a dataset of noise, 32 px."""
    generator = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for number in range(classes):
            path = root / split / f"class{number}"
            path.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(path / f"{index}.png")
    return root
