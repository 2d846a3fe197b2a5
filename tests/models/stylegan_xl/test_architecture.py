"""The layers of StyleGAN-XL: the published names, and bands that follow the papers' rules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.models.stylegan_xl.small_generators import SMALL, generator
from uvlp.models.stylegan_xl.architecture import Architecture, Layer, layers, tensors

STEM = [*(f"L{index}_36_1024" for index in range(9)), "L9_16_1024", "L10_16_3"]
"""As printed by the authors' training of a stem of 16 px."""


def published() -> Iterator[Architecture]:
    for count in range(5):
        for more in ({}, {"conv_kernel": 1, "radial": True}):
            yield Architecture(stages=((2, 7),) * count, **more)  # type: ignore[arg-type]


def test_the_stem_has_the_layers_of_the_published_one() -> None:
    assert [layer.name for layer in layers(Architecture(stages=()))] == STEM


def test_every_stage_replaces_two_layers_and_to_rgb_by_seven_and_to_rgb() -> None:
    """As in section 3.2 of the paper: 11 layers at 16 px, and 5 more each time that the side doubles."""
    counts = [len(layers(Architecture(stages=((2, 7),) * count))) for count in range(5)]
    assert counts == [11, 16, 21, 26, 31]
    assert Architecture().side_px == 256
    names = [layer.name for layer in layers(Architecture())]
    assert names[:8] == STEM[:8] and names[8] == "L9_36_1024", "the number 8 is left out"
    assert names[-2:] == ["L30_256_256", "L31_256_3"]


@pytest.mark.parametrize("sizes", list(published()), ids=repr)
def test_bands_follow_the_rules_of_stylegan3(sizes: Architecture) -> None:
    made = layers(sizes)
    for before, layer in zip(made, made[1:], strict=False):
        assert layer.before == before.after
    for layer in made:
        band = layer.after
        assert math.log2(band.rate).is_integer() and band.rate <= sizes.side_px
        assert band.cutoff <= band.rate / 2, "below the Nyquist frequency"
        stopband = band.cutoff + band.half_width
        assert layer.critical or stopband >= band.rate / 2 > stopband / 2
        assert band.side == band.rate + 20 or (layer.critical and band.side == sizes.side_px)
    cutoffs = np.array([layer.after.cutoff for layer in made])
    assert cutoffs[0] == 2 and cutoffs[-1] == pytest.approx(sizes.side_px / 2)
    assert (np.diff(cutoffs) >= 0).all()
    assert [layer.critical for layer in made] == [False] * (len(made) - 3) + [True] * 3
    assert [layer.to_rgb for layer in made] == [False] * (len(made) - 1) + [True]
    assert made[-1].after.cutoff == pytest.approx(made[-1].after.rate / 2), "critically sampled"


def test_the_cutoffs_of_a_stem_grow_geometrically() -> None:
    count, last = 10, 8.0
    exponents = np.minimum(np.arange(count + 1) / (count - 2), 1)
    stopbands = 2**2.1 * (last * 2**0.3 / 2**2.1) ** exponents
    rates = np.exp2(np.ceil(np.log2(np.minimum(2 * stopbands, 2 * last))))
    bands = [layer.after for layer in layers(Architecture(stages=()))]
    np.testing.assert_allclose([band.cutoff for band in bands], 2 * (last / 2) ** exponents, rtol=1e-12)
    assert [band.rate for band in bands] == rates.tolist()
    half_widths = np.maximum(stopbands, rates / 2) - 2 * (last / 2) ** exponents
    np.testing.assert_allclose([band.half_width for band in bands], half_widths, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sizes", list(published()), ids=repr)
def test_the_padding_gives_the_side_of_the_next_map(sizes: Architecture) -> None:
    for layer in layers(sizes):
        assert _side(layer) == layer.after.side


def _side(layer: Layer) -> int:
    """The side after the convolution, padded by its kernel less 1, and both filters."""
    up_taps, down_taps = layer.taps
    side = (layer.before.side + layer.kernel - 1) * layer.up + sum(layer.padding) - up_taps + 1
    return (side - down_taps + 1 + layer.down - 1) // layer.down


@pytest.mark.parametrize("changes", [{}, {"radial": True, "conv_kernel": 1}, {"stages": ()}])
def test_the_tensors_are_those_of_the_network(changes: dict[str, Any]) -> None:
    made = generator(**changes)
    expected = {name: tuple(tensor.shape) for name, tensor in made.state_dict().items()}
    assert tensors(Architecture(**(SMALL | changes))) == expected | {"mapping.w_avg": (1000, 6)}
