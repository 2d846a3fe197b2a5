"""A generator in whole: split after any layer, differentiable, and loaded from safetensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import tiny_models
from tests.models.stylegan_xl.small_generators import generator, latents
from uvlp.core.errors import UvlpError
from uvlp.models.stylegan_xl.generator import load


@pytest.mark.parametrize("radial", [False, True])
def test_the_image_does_not_depend_on_where_the_generator_is_split(radial: bool) -> None:
    made = generator(radial=radial, conv_kernel=1 if radial else 3)
    wanted = latents(made, 2)
    expected = made.images(made.features(wanted, 0), wanted, 0)
    assert expected.shape == (2, 3, 16, 16)
    assert expected.isfinite().all() and float(expected.std()) > 1e-3
    for count in range(1, made.latents - 1):
        assert torch.equal(made.images(made.features(wanted, count), wanted, count), expected)


def test_features_depend_on_the_latents_below_and_images_on_those_above() -> None:
    made = generator()
    wanted, count = latents(made, 1), 3
    maps = made.features(wanted, count)
    for index in range(made.latents):
        other = wanted.clone()
        other[:, index] += 1
        below = index <= count
        assert torch.equal(made.features(other, count), maps) != below, index
        assert torch.equal(made.images(maps, other, count), made.images(maps, wanted, count)) == below, index


def test_gradients_of_both_leaves_are_those_of_finite_differences() -> None:
    made = generator()
    wanted, count = latents(made, 1), 5
    maps = made.features(wanted, count)
    leaves = wanted.requires_grad_(), maps.detach().requires_grad_()

    def images(own: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        return made.images(features, own, count)

    assert torch.autograd.gradcheck(images, leaves, fast_mode=True)
    own = torch.autograd.grad(images(*leaves).square().sum(), leaves)
    assert not own[0][:, : count + 1].any() and own[0][:, count + 1 :].any() and own[1].any()


def test_gradients_through_the_mapping_and_all_layers_are_those_of_finite_differences() -> None:
    made = generator()
    random = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)

    def images(values: torch.Tensor) -> torch.Tensor:
        own = made.mapping(values, torch.tensor([1, 2]))[:, None].expand(-1, made.latents, -1)
        return made.images(made.features(own, 0), own, 0)

    assert torch.autograd.gradcheck(images, (random,), fast_mode=True)


def test_a_saved_generator_is_loaded_with_its_weights(tmp_path: Path) -> None:
    folder = tiny_models.stylegan_xl(tmp_path / "model")
    made = load(folder)
    stored = load_file(folder / "generator.safetensors")
    state = made.state_dict()
    assert set(stored) - set(state) == {"mapping.w_avg"}
    for name, tensor in state.items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, stored[name]), name
    assert not any(parameter.requires_grad for parameter in made.parameters())


def test_filters_of_other_bands_are_refused(tmp_path: Path) -> None:
    folder = tiny_models.stylegan_xl(tmp_path / "model")
    path = folder / "generator.safetensors"
    stored = load_file(path)
    name = next(name for name in stored if name.endswith("down_filter"))
    save_file(stored | {name: stored[name] * 1.01}, path)
    with pytest.raises(UvlpError) as caught:
        load(folder)
    assert name in caught.value.what and str(path) in str(caught.value.got)
    assert "stages" in str(caught.value.fix)
