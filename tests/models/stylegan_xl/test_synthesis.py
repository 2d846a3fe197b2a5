"""The synthesis network, against explicit weights and waves in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from tests.models.stylegan_xl.small_generators import generator, latents
from uvlp.models.stylegan_xl.synthesis import modulated_convolution


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulated", [True, False])
def test_the_convolution_is_that_of_weights_of_every_sample(kernel: int, demodulated: bool) -> None:
    maps, weight, styles = drawn(3, 4, 7, 6), drawn(5, 4, kernel, kernel, seed=1), drawn(3, 4, seed=2)
    gain = torch.tensor(0.7, dtype=torch.float64)
    found = modulated_convolution(maps, weight, styles, gain=gain, demodulated=demodulated)
    for sample in range(3):
        own = weight * styles[sample][None, :, None, None]
        if demodulated:
            own = own / own.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
        expected = conv2d(maps[sample : sample + 1], own * gain, padding=kernel - 1)
        # The epsilon below the root is 1e-8, beside sums of at least one.
        torch.testing.assert_close(found[sample : sample + 1], expected, rtol=1e-7, atol=1e-7)


def test_the_sample_does_not_depend_on_its_batch() -> None:
    made = generator()
    wanted = latents(made, 3)
    together = made.images(made.features(wanted, 2), wanted, 2)
    alone = made.images(made.features(wanted[1:2], 2), wanted[1:2], 2)
    torch.testing.assert_close(together[1:2], alone, rtol=1e-10, atol=1e-10)


def test_demodulated_maps_have_unit_power_whatever_the_styles() -> None:
    maps, weight = drawn(2, 64, 40, 40), drawn(8, 64, 3, 3, seed=1)
    for scale in (1.0, 1e-3):
        styles = scale * drawn(2, 64, seed=2)
        one = torch.ones((), dtype=torch.float64)
        made = modulated_convolution(maps, weight, styles, gain=one, demodulated=True)[..., 2:-2, 2:-2]
        assert float(made.square().mean()) == pytest.approx(1, abs=0.1)


def test_fourier_features_are_waves_of_the_transformed_places() -> None:
    made = generator()
    module = made.synthesis.input
    module.transform.copy_(torch.tensor([[0.8, 0.3, 0.1], [-0.2, 1.1, -0.4], [0.0, 0.0, 1.0]]))
    wanted = drawn(2, made.sizes.w_dim)
    found = module(wanted).numpy()
    state = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    cutoff, rate, side = 2.0, 16, 36  # of the first layer of every generator with a stem of 16 px or less
    band = module._band
    assert (band.cutoff, band.side) == (cutoff, band.rate + 20)
    rate, side = band.rate, band.side
    for sample in range(2):
        affine = state["affine.weight"] / math.sqrt(made.sizes.w_dim) @ wanted[sample].numpy()
        cosine, sine, x, y = (affine + state["affine.bias"]) / np.hypot(*(affine + state["affine.bias"])[:2])
        rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        translation = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
        matrix = rotation @ translation @ state["transform"]
        waves = np.zeros((len(state["freqs"]), side, side))
        for row in range(side):
            for column in range(side):
                place = np.array([column + 0.5 - side / 2, row + 0.5 - side / 2]) / rate
                moved = matrix @ [*place, 1]
                waves[:, row, column] = np.sin(2 * math.pi * (state["freqs"] @ moved[:2] + state["phases"]))
        lengths = np.linalg.norm(state["freqs"] @ matrix[:2, :2], axis=1)
        waves *= np.clip(1 - (lengths - cutoff) / (rate / 2 - cutoff), 0, 1)[:, None, None]
        expected = np.tensordot(state["weight"] / math.sqrt(len(waves)), waves, 1)
        np.testing.assert_allclose(found[sample], expected, rtol=0, atol=1e-11)


def test_a_translation_of_the_input_moves_the_image() -> None:
    """Alias-free: where the input moves by whole pixels, so does the image, but for its margins."""
    made = generator(stem_px=16, stages=(), stem_layers=5)
    module = made.synthesis.input
    module.freqs.mul_(0.5)
    wanted = latents(made, 1)
    still = made.images(made.features(wanted, 0), wanted, 0)
    module.transform[0, 2] = 3 / 16  # of the image's side
    moved = made.images(made.features(wanted, 0), wanted, 0)
    assert float((moved - still).abs().max()) > 0.1 * float(still.abs().max())
    inner, of_still = moved[..., 4:12, 4:9], still[..., 4:12, 7:12]
    assert float((inner - of_still).abs().max()) < 0.05 * float(still.abs().max())


def test_gain_and_scale_of_to_rgb() -> None:
    made = generator()
    layer = made.synthesis.layers[-1]
    maps, own = drawn(2, layer.weight.shape[1], 16, 16), drawn(2, made.sizes.w_dim, seed=1)
    styles = layer.affine(own) / math.sqrt(maps.shape[1])
    mixed = torch.einsum("oi,ni,nihw->nohw", layer.weight[:, :, 0, 0], styles, maps)
    expected = mixed / layer.magnitude_ema.sqrt() + layer.bias[:, None, None]
    torch.testing.assert_close(layer(maps, own), expected, rtol=1e-12, atol=1e-12)
    last = len(made.synthesis.layers) - 1
    every = own[:, None].repeat(1, made.latents, 1)
    torch.testing.assert_close(made.images(maps, every, last), 0.25 * expected, rtol=1e-12, atol=1e-12)
