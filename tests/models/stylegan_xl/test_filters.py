"""The filters of StyleGAN3, against explicit sums in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import firwin

from tests.tolerances import rounding
from uvlp.models.stylegan_xl.architecture import Architecture, layers
from uvlp.models.stylegan_xl.filters import (
    downsampled,
    filtered_leaky_relu,
    low_pass,
    radial_low_pass,
    upsampled,
)

CASES = [(12, 6.73, 1.5, 32.0), (24, 8.0, 4.0, 64.0), (12, 16.0, 3.7, 64.0)]
GENERATOR = np.random.default_rng(5)


def kaiser(taps: int, half_width: float, rate: float) -> np.ndarray:
    """Kaiser's window by his formulas for the attenuation of a filter of that length."""
    attenuation = 2.285 * (taps - 1) * math.pi * 2 * half_width / (rate / 2) + 7.95
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    else:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21) if attenuation > 21 else 0.0
    return np.kaiser(taps, beta)


@pytest.mark.parametrize(("taps", "cutoff", "half_width", "rate"), CASES)
def test_the_filter_is_a_sinc_under_a_kaiser_window(
    taps: int, cutoff: float, half_width: float, rate: float
) -> None:
    times = (np.arange(taps) - (taps - 1) / 2) / rate
    expected = np.sinc(2 * cutoff * times) * kaiser(taps, half_width, rate)
    found = low_pass(taps, cutoff, half_width, rate).double().numpy()
    assert np.abs(found - expected / expected.sum()).max() <= rounding(2)
    scipys = firwin(taps, cutoff, width=2 * half_width, fs=rate)
    assert np.abs(found - scipys).max() <= rounding(1)


@pytest.mark.parametrize(("taps", "cutoff", "half_width", "rate"), CASES)
def test_the_radial_filter_is_an_integral_over_the_directions(
    taps: int, cutoff: float, half_width: float, rate: float
) -> None:
    """A disc of frequencies below the cutoff, as a sum of its plane waves, under the windows of both axes."""
    times = (np.arange(taps) - (taps - 1) / 2) / rate
    radius = np.hypot(times[:, None], times[None, :])
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x = cutoff * nodes
    heights = 2 * np.sqrt(np.clip(cutoff**2 - x**2, 0, None)) * cutoff * weights
    waves = (heights * np.cos(2 * math.pi * x * radius[..., None])).sum(axis=-1)
    window = kaiser(taps, half_width, rate)
    expected = waves * np.outer(window, window)
    found = radial_low_pass(taps, cutoff, half_width, rate).double().numpy()
    assert np.abs(found - expected / expected.sum()).max() <= 1e-5  # of the sum over 400 points
    assert np.array_equal(found, found.T) and np.array_equal(found, found[::-1])


def explicit_up(row: np.ndarray, kernel: np.ndarray, factor: int, padding: tuple[int, int]) -> np.ndarray:
    """Zeros between samples and around them, then a convolution where the filter fits."""
    zeros = np.zeros(len(row) * factor)
    zeros[::factor] = row
    first, last = padding
    zeros = np.concatenate([np.zeros(max(first, 0)), zeros, np.zeros(max(last, 0))])
    zeros = zeros[max(-first, 0) : len(zeros) - max(-last, 0)]
    return factor * np.convolve(zeros, kernel, "valid")


def both_axes(function, maps: np.ndarray) -> np.ndarray:
    """Apply a function of rows along the last two axes."""
    for axis in (2, 3):
        maps = np.apply_along_axis(function, axis, maps)
    return maps


@pytest.mark.parametrize("padding", [(0, 0), (7, 4), (-3, 5), (15, -4), (30, 20)])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_upsampling_is_a_convolution_with_zeros_between_samples(
    factor: int, padding: tuple[int, int]
) -> None:
    maps, kernel = GENERATOR.normal(size=(2, 3, 14, 17)), GENERATOR.normal(size=6)
    expected = both_axes(lambda row: explicit_up(row, kernel, factor, padding), maps)
    found = upsampled(torch.from_numpy(maps), torch.from_numpy(kernel), factor, padding)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-11)


def test_without_a_filter_maps_are_only_padded() -> None:
    maps = torch.randn(1, 2, 5, 5)
    assert torch.equal(upsampled(maps, None, 1, (1, -2))[:, :, 1:, 1:], maps[:, :, :3, :3])
    assert torch.equal(downsampled(maps, None, 2), maps[:, :, ::2, ::2])


@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_downsampling_is_a_convolution_of_which_samples_are_kept(factor: int, radial: bool) -> None:
    maps = GENERATOR.normal(size=(2, 3, 21, 26))
    half = GENERATOR.normal(size=4)
    row = np.concatenate([half, half[::-1]])
    kernel = np.outer(row, row) + (np.outer(row**2, row**2) if radial else 0)
    windows = np.lib.stride_tricks.sliding_window_view(maps, (8, 8), axis=(2, 3))
    expected = (windows * kernel[::-1, ::-1]).sum(axis=(-2, -1))[:, :, ::factor, ::factor]
    found = downsampled(torch.from_numpy(maps), torch.from_numpy(kernel if radial else row), factor)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("index", [0, 3, 6])
def test_the_activation_is_that_of_an_explicit_loop(index: int) -> None:
    """With the factors and paddings of layers of a generator, of which the second one doubles the rate."""
    every = layers(Architecture(stem_px=8, stem_layers=4, stages=((2, 5),), channel_max=2))
    layer = every[index]
    assert (layer.after.rate, layer.before.rate) == ((16, 8) if index == 3 else (layer.before.rate,) * 2)
    up_taps, down_taps = layer.taps
    rows = {"up": GENERATOR.normal(size=up_taps), "down": GENERATOR.normal(size=down_taps)}
    rows["down"] += rows["down"][::-1].copy()
    maps = GENERATOR.normal(size=(2, 2, layer.before.side + 2, layer.before.side + 2))
    signal = both_axes(lambda row: explicit_up(row, rows["up"], layer.up, layer.padding), maps)
    bent = np.clip(np.where(signal > 0, signal, 0.2 * signal) * math.sqrt(2), -3, 3)
    expected = both_axes(lambda row: np.convolve(row, rows["down"], "valid")[:: layer.down], bent)
    found = filtered_leaky_relu(
        torch.from_numpy(maps),
        *(torch.from_numpy(row) for row in rows.values()),
        up=layer.up,
        down=layer.down,
        padding=layer.padding,
        clamp=3.0,
    )
    assert found.shape[-1] == layer.after.side
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-10)


def test_the_filters_of_a_layer_preserve_a_constant_and_remove_what_the_rate_cannot_hold() -> None:
    layer = layers(Architecture(stages=()))[5]
    kernel = low_pass(layer.taps[1], layer.after.cutoff, layer.after.half_width, layer.rate).double()
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-6)
    response = np.abs(np.fft.rfft(kernel.numpy(), 4096))
    frequencies = np.arange(len(response)) * layer.rate / 4096
    stopped = response[frequencies > layer.after.rate - layer.after.cutoff]
    assert stopped.max() < 0.05 and response[frequencies < 1].min() > 0.95


@pytest.mark.parametrize("radial", [False, True])
def test_gradients_of_the_activation_are_those_of_finite_differences(radial: bool) -> None:
    maps = torch.from_numpy(GENERATOR.normal(size=(1, 2, 6, 6))).requires_grad_()
    up = low_pass(12, 4.0, 2.0, 16.0).double()
    down = (radial_low_pass if radial else low_pass)(12, 4.0, 2.0, 16.0).double()

    def activation(values: torch.Tensor) -> torch.Tensor:
        return filtered_leaky_relu(values, up, down, up=2, down=2, padding=(12, 11), clamp=50.0)

    assert torch.autograd.gradcheck(activation, (maps,))
