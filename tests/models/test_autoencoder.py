from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from tests import tiny_models
from tests.tolerances import depth, rounding
from uvlp.core.errors import UvlpError
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.quantise import to_bytes


@pytest.fixture(scope="module")
def loaded(models: Path) -> Autoencoder:
    return Autoencoder.load(models / "autoencoder")


def test_moments_agree_with_diffusers(models: Path, loaded: Autoencoder, images: np.ndarray) -> None:
    plain = AutoencoderKL.from_pretrained(models / "autoencoder")
    with torch.inference_mode():
        found = plain.encode(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1).latent_dist
    mean, deviation = loaded.posterior(images)
    assert mean.shape == deviation.shape == (12, 4, 16, 16) and mean.dtype == torch.float32
    bound = rounding(depth(plain.encoder), largest=mean.abs().max().item())
    torch.testing.assert_close(mean, found.mean * plain.config.scaling_factor, atol=bound, rtol=0)
    torch.testing.assert_close(deviation, found.std * plain.config.scaling_factor, atol=bound, rtol=0)


def test_moments_do_not_depend_on_the_batch(loaded: Autoencoder, images: np.ndarray) -> None:
    together, alone = loaded.posterior(images), loaded.posterior(images[7:8])
    bound = rounding(depth(loaded._model.encoder), largest=alone[0].abs().max().item())
    for several, one in zip(together, alone, strict=True):
        torch.testing.assert_close(several[7:8], one, atol=bound, rtol=0)
    assert (together[0][6:7] - alone[0]).abs().max() > 10 * bound, "another image differs more"


def test_training_latents_have_standard_deviation_one(loaded: Autoencoder, images: np.ndarray) -> None:
    mean, deviation = loaded.posterior(images)
    bound = rounding(depth(loaded._model.encoder) + mean.numel())
    assert (mean.var() + (deviation**2).mean()).sqrt().item() == pytest.approx(1, abs=bound)


def test_decoding_rounds_as_a_saved_image(models: Path, loaded: Autoencoder, images: np.ndarray) -> None:
    latents = loaded.posterior(images)[0]
    decoded = to_bytes(loaded.pixels(latents))
    assert decoded.shape == images.shape and decoded.dtype == np.uint8
    plain = AutoencoderKL.from_pretrained(models / "autoencoder")
    with torch.inference_mode():
        unit = plain.decode(latents / plain.config.scaling_factor).sample / 2 + 0.5
    expected = (unit * 255 + 0.5).clamp(0, 255).permute(0, 2, 3, 1).numpy().astype(np.uint8)
    assert np.abs(decoded.astype(int) - expected).max() <= 1  # rounding of the same value
    assert (decoded == expected).mean() > 0.999


def test_the_autoencoder_of_a_pipeline_is_loaded(tmp_path: Path) -> None:
    folder = tiny_models.diffusion(tmp_path)
    found = Autoencoder.load(folder, "vae")
    assert found.scaling_factor == pytest.approx(0.18215)
    mean, _ = found.posterior(np.zeros((1, 64, 64, 3), np.uint8))
    assert mean.shape == (1, 4, 8, 8)


def test_half_precision_preserves_a_small_standard_deviation(tmp_path: Path) -> None:
    """exp(-15) underflows in float16; the moments are computed in float32."""
    folder = tiny_models.diffusion(tmp_path)
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["quant_conv.bias"][4:] = -30
    save_file(weights, file)
    found = Autoencoder.load(folder, "vae", dtype=torch.bfloat16)
    deviation = found.posterior(np.zeros((1, 64, 64, 3), np.uint8))[1]
    assert deviation.dtype == torch.float32
    assert (deviation > 0).all() and deviation.max() < 1e-6


@pytest.mark.parametrize("damage", ["other width", "missing weight", "no folder"])
def test_a_folder_without_a_valid_autoencoder_is_refused(tmp_path: Path, damage: str) -> None:
    folder = tiny_models.diffusion(tmp_path)
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    if damage == "other width":
        weights["quant_conv.weight"] = torch.zeros(8, 6, 1, 1)
    else:
        del weights["quant_conv.weight"]
    save_file(weights, file)
    source = folder if damage != "no folder" else tmp_path / "nothing"
    with pytest.raises(UvlpError) as caught:
        Autoencoder.load(source, "vae")
    assert str(source / "vae") in caught.value.what and caught.value.got


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_moments_on_a_gpu_agree_with_a_cpu(tmp_path: Path) -> None:
    folder = tiny_models.diffusion(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    expected = Autoencoder.load(folder, "vae").posterior(images)
    found = Autoencoder.load(folder, "vae", "cuda", torch.float16)
    for kept, right in zip(found.posterior(images), expected, strict=True):
        assert kept.device.type == "cuda" and kept.dtype == torch.float32
        torch.testing.assert_close(kept.cpu(), right, atol=2e-3, rtol=2e-2)
    shown = to_bytes(Autoencoder.load(folder, "vae").pixels(expected[0]))
    assert np.abs(to_bytes(found.pixels(expected[0])).astype(int) - shown).max() <= 3
