from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from uvlp.models.autoencoder import Autoencoder


@pytest.fixture(scope="module")
def loaded(models: Path) -> Autoencoder:
    return Autoencoder.load(models / "autoencoder")


def _generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(index) for index in range(count)]


def test_latents_are_the_scaled_posterior_sample(
    models: Path, loaded: Autoencoder, images: np.ndarray
) -> None:
    plain = AutoencoderKL.from_pretrained(models / "autoencoder")
    with torch.inference_mode():
        posterior = plain.encode(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1).latent_dist
    noise = torch.stack([torch.randn(4, 16, 16, generator=generator) for generator in _generators(12)])
    expected = (posterior.mean + posterior.std * noise) * plain.config.scaling_factor
    latents = loaded.encode(images, _generators(12))
    assert latents.shape == (12, 4, 16, 16) and latents.dtype == torch.float32
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=0)


def test_the_noise_belongs_to_the_image(loaded: Autoencoder, images: np.ndarray) -> None:
    together = loaded.encode(images, _generators(12))
    alone = loaded.encode(images[7:8], _generators(12)[7:8])
    torch.testing.assert_close(together[7:8], alone, atol=1e-5, rtol=0)


def test_training_latents_have_unit_spread(loaded: Autoencoder, images: np.ndarray) -> None:
    mean, deviation = loaded.posterior(images)
    assert (mean.var() + (deviation**2).mean()).sqrt().item() == pytest.approx(1, abs=1e-3)


def test_decoding_rounds_as_a_saved_image(models: Path, loaded: Autoencoder, images: np.ndarray) -> None:
    latents = loaded.encode(images, _generators(12))
    decoded = loaded.decode(latents)
    assert decoded.shape == images.shape and decoded.dtype == np.uint8
    plain = AutoencoderKL.from_pretrained(models / "autoencoder")
    with torch.inference_mode():
        unit = plain.decode(latents / plain.config.scaling_factor).sample / 2 + 0.5
    expected = (unit * 255 + 0.5).clamp(0, 255).permute(0, 2, 3, 1).numpy().astype(np.uint8)
    assert np.abs(decoded.astype(int) - expected).max() <= 1  # rounding of the same number
    assert (decoded == expected).mean() > 0.999
