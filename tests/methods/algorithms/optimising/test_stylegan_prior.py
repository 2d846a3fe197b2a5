"""StyleGAN-XL as GLaD's prior: what it starts at, and gradients of both leaves in float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests import tiny_models
from tests.methods.algorithms.optimising.small_inputs import small_inputs
from uvlp.core.progress import Progress
from uvlp.core.seeds import torch_generator
from uvlp.methods.algorithms.method_input import MethodInput
from uvlp.methods.algorithms.optimising.latent_matching import LatentMatching
from uvlp.methods.algorithms.optimising.stylegan_prior import LARGEST, StyleGanPrior
from uvlp.methods.glad import Settings

SIZE_PX, LAYER = 12, 3
LABELS = (3, 999, 3)
SETTINGS = Settings(iterations=2, real_batch=4, width=8, lr_latents=0.3, lr_features=0.7)
MEAN, STD = (
    torch.tensor(values, dtype=torch.float64)[:, None, None]
    for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.stylegan_xl(tmp_path_factory.mktemp("prior") / "model")


def prior(folder: Path, layer: int = LAYER, size_px: int = SIZE_PX) -> StyleGanPrior:
    return StyleGanPrior(folder, "cpu", layer=layer, size_px=size_px)


def inputs(**changes: int) -> MethodInput:
    return replace(small_inputs(size_px=SIZE_PX, **changes), labels=LABELS)  # type: ignore[arg-type]


def matching(folder: Path) -> LatentMatching:
    return LatentMatching(inputs(), SETTINGS, "convnet-2", prior(folder), Progress())


def test_latents_are_those_of_a_random_vector_per_image_and_the_label_of_its_class(folder: Path) -> None:
    made = prior(folder)
    latents = made.latents(inputs())
    assert latents.shape == (6, made._generator.latents, made._generator.sizes.w_dim)
    assert torch.equal(latents, latents[:, :1].expand_as(latents)), "one for all layers"
    assert len(latents[:, 0].unique(dim=0)) == 6
    own = torch.randn(4, generator=torch_generator(0, "glad", "latents", "c1", 1))
    expected = made._generator.mapping(own[None], torch.tensor([LABELS[1]]))
    torch.testing.assert_close(latents[3, 0], expected[0], rtol=1e-6, atol=1e-6)
    assert not torch.equal(made.latents(inputs(seed=1)), latents)
    more = made.latents(inputs(ipc=3))[[0, 1, 3, 4, 6, 7]]
    torch.testing.assert_close(more, latents, rtol=1e-6, atol=1e-6)


def test_the_first_images_are_those_of_the_generator(folder: Path) -> None:
    made = prior(folder, size_px=16)
    latents = made.latents(inputs())
    features = made.features(latents)
    assert float(features.abs().max()) <= LARGEST
    whole = made._generator
    unclipped = whole.features(latents, LAYER)
    torch.testing.assert_close(features, unclipped.clamp(-10, 10), rtol=1e-5, atol=1e-5)
    pixels = whole.images(features, latents, LAYER).double()
    found = made.render(latents, features).double() * STD + MEAN
    torch.testing.assert_close(found, (pixels + 1) / 2, rtol=1e-5, atol=1e-5)
    assert made.render(latents, features).shape == (6, 3, 16, 16)
    assert prior(folder).render(latents, features).shape == (6, 3, SIZE_PX, SIZE_PX)


def test_the_gradients_are_those_of_the_whole_chain_in_float64(folder: Path) -> None:
    """The gradient at the images, passed through the prior in chunks, against one graph of everything."""
    made = matching(folder)
    _, gradient = made._matching.gradient(made._render(), 1)
    found = made._through_the_prior(gradient)
    precise = prior(folder)
    precise._generator = precise._generator.double()
    leaves = {name: leaf.double().requires_grad_() for name, leaf in made._leaves.items()}
    rendered = precise.render(leaves["latents"], leaves["features"])
    expected = torch.autograd.grad(rendered, list(leaves.values()), gradient.double())
    for name, own in zip(leaves, expected, strict=True):
        largest = float(own.abs().max())
        assert largest > 0, name
        assert float((found[name].double() - own).abs().max()) <= 1e-4 * largest, name
    assert not found["latents"][:, : LAYER + 1].any(), "latents below the features have no effect"
    assert found["latents"][:, LAYER + 1 :].any()


def test_both_leaves_are_updated_and_a_restored_state_continues_with_the_same_bytes(folder: Path) -> None:
    whole, resumed = matching(folder), matching(folder)
    before: dict[str, Tensor] = {name: leaf.clone() for name, leaf in whole._leaves.items()}
    whole.step(1)
    assert all(not torch.equal(leaf, before[name]) for name, leaf in whole._leaves.items())
    resumed.restore({name: tensor.clone() for name, tensor in whole.state().items()})
    for made in (whole, resumed):
        made.step(2)
    assert torch.equal(whole.images(), resumed.images())


def test_the_loss_falls(folder: Path) -> None:
    made = matching(folder)
    losses = []
    for _ in range(15):
        losses.append(float(made.step(1)))  # the same network and augmentation each time
    assert losses[-1] < 0.9 * losses[0]
