"""Models of the smallest sizes, trained for two steps, once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from uvlp.core.progress import Progress
from uvlp.recipes.schema import AutoencoderSettings, DiffuserSettings, EmbedderSettings

EMBEDDER = EmbedderSettings(steps=2, batch=8, width=8, text_width=32, text_layers=1)
AUTOENCODER = AutoencoderSettings(steps=2, batch=4, channels=(8, 16))
DIFFUSER = DiffuserSettings(steps=2, batch=4, channels=(16, 32))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Return twelve images of 32 px: white bars on black, of different positions and widths."""
    images = np.zeros((12, 32, 32, 3), np.uint8)
    for index, image in enumerate(images):
        image[4:28, 4 + index : 8 + index + index % 3] = 255 - 10 * index
    return images


@pytest.fixture(scope="session")
def texts() -> list[str]:
    names = ("one", "two", "three")
    return [f"a bar {names[index % 3]}, thin strokes, light ink" for index in range(12)]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, train_all: Callable[[Path, int], Path]) -> Path:
    """Return a folder with `embedder`, `autoencoder` and `diffuser`, seed 0."""
    return train_all(tmp_path_factory.mktemp("models"), 0)


@pytest.fixture(scope="session")
def train_all(images: np.ndarray, texts: list[str]) -> Callable[[Path, int], Path]:
    """Return a function that trains the three models with a seed and writes them to a folder."""
    return partial(_train_all, images, texts)


def _train_all(images: np.ndarray, texts: list[str], folder: Path, seed: int) -> Path:
    from uvlp.models import autoencoder, diffuser, embedder

    parts = folder / "embedder", folder / "autoencoder"
    embedder.train(images, texts, EMBEDDER, seed, parts[0], Progress())
    autoencoder.train(images, AUTOENCODER, seed, parts[1], Progress())
    diffuser.train(images, texts, *parts, DIFFUSER, seed, folder / "diffuser", Progress())
    return folder
