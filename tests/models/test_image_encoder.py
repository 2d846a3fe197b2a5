"""CLIP and the VAE on the same batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.runs import full_size
from tests import tiny_models
from tests.image_features import image_features
from tests.tolerances import depth, rounding
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.embedder import Embedder
from uvlp.models.image_encoder import PIXELS, ImageEncoder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("encoders")
    return tiny_models.clip(root / "clip"), tiny_models.diffusion(root / "diffusion")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), dtype=np.uint8)


def encoder(
    folders: tuple[Path, Path],
    device: str = "cpu",
    stored: torch.dtype = torch.float32,
    messages: list[str] | None = None,
) -> ImageEncoder:
    log = [] if messages is None else messages
    dtype = torch.float16 if device == "cuda" else torch.float32
    models = Embedder.load(folders[0], device), Autoencoder.load(folders[1], "vae", device, dtype)
    return ImageEncoder(*models, device, stored, log.append)


def encoded(encoder: ImageEncoder, pixels: np.ndarray) -> dict[str, Any]:
    return encoder.encode(encoder.join([encoder.prepare(image) for image in pixels]))


def test_results_equal_those_of_the_single_models(folders: tuple[Path, Path], pixels: np.ndarray) -> None:
    found = encoded(encoder(folders), pixels)
    mean, deviation = Autoencoder.load(folders[1], "vae").posterior(pixels)
    np.testing.assert_array_equal(found["image"], image_features(Embedder.load(folders[0]), pixels))
    np.testing.assert_array_equal(found["mean"], mean)
    np.testing.assert_array_equal(found["deviation"], deviation)


def test_moments_are_returned_in_the_stored_dtype(folders: tuple[Path, Path], pixels: np.ndarray) -> None:
    found = encoded(encoder(folders, stored=torch.float16), pixels)
    assert [found[name].dtype for name in ("image", "mean", "deviation")] == [np.float32, *[np.float16] * 2]


def test_only_a_batch_that_does_not_fit_is_split(
    folders: tuple[Path, Path], pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    both, sizes = encoder(folders, messages=messages), list[int]()
    moments = Autoencoder.moments

    def small_gpu(self: Autoencoder, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(len(images))
        if len(images) > 3:
            raise torch.OutOfMemoryError
        return moments(self, images)

    expected = encoded(both, pixels)
    monkeypatch.setattr(Autoencoder, "moments", small_gpu)
    for _ in range(2):
        found = encoded(both, pixels)
        for name, array in expected.items():
            network = both._embedder._model if name == "image" else both._autoencoder._model.encoder
            bound = rounding(depth(network), largest=float(np.abs(array).max()))
            np.testing.assert_allclose(found[name], array, rtol=0, atol=bound)
    once = [7, 4, 2, 2, 3]
    assert sizes == once * 2 and both.splits == 4
    assert [" 7:" in text for text in messages] == [True, False, True, False]


def test_large_images_are_encoded_in_small_batches_on_a_cpu(
    folders: tuple[Path, Path], pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    moments = Autoencoder.moments

    def counted(self: Autoencoder, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(len(images))
        return moments(self, images)

    monkeypatch.setattr(Autoencoder, "moments", counted)
    encoded(encoder(folders), pixels.repeat(4, axis=1).repeat(4, axis=2))
    encoded(encoder(folders), pixels)
    assert sizes == [4, 3, 7]


def test_maps_on_a_gpu_have_less_than_2_to_the_31_values(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 images of 512 px, the default, have 2^31 values in the published autoencoder's first maps."""
    assert PIXELS["cuda"] * full_size.vae_config()["block_out_channels"][0] < 2**31
    sizes: list[int] = []

    def counted(_: ImageEncoder, __: Any, rows: range) -> dict[str, np.ndarray]:
        sizes.append(len(rows))
        return {"image": np.zeros((len(rows), 2))}

    monkeypatch.setattr(ImageEncoder, "_encode", counted)
    models = Embedder.load(folders[0]), Autoencoder.load(folders[1], "vae")
    both = ImageEncoder(*models, "cuda", torch.float16, print)
    batch = torch.zeros((64, 512, 512, 3), dtype=torch.uint8, device="meta"), torch.zeros(64, 3, 8, 8)
    assert len(both.encode(batch)["image"]) == 64
    assert sizes == [32, 32]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_is_deterministic(folders: tuple[Path, Path], pixels: np.ndarray) -> None:
    both = encoder(folders, "cuda", torch.float16)
    first, second = encoded(both, pixels), encoded(both, pixels)
    expected = encoded(encoder(folders), pixels)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
        np.testing.assert_allclose(array.astype(np.float32), expected[name], atol=5e-3, rtol=2e-2)
