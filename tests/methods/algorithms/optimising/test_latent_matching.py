"""GLaD: the split decoder decodes as the VAE does, and updates follow the chain rule in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from tests.methods.algorithms.optimising.small_inputs import small_inputs
from tests.tolerances import depth, rounding
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.methods.algorithms.optimising import latent_matching
from uvlp.methods.algorithms.optimising.decoder_prior import DecoderPrior
from uvlp.methods.algorithms.optimising.latent_matching import LatentMatching
from uvlp.methods.glad import Settings
from uvlp.models.autoencoder import Autoencoder

SIDE_PX, SIZE_PX = 32, 16
SETTINGS = Settings(iterations=2, real_batch=4, width=8, lr_latents=0.3, lr_features=0.7)
MEAN, STD = (
    torch.tensor(values, dtype=torch.float64)[:, None, None]
    for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny VAE with random weights, which downsamples by 4."""
    path = tmp_path_factory.mktemp("autoencoder")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = AutoencoderKL(
            block_out_channels=(8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            norm_num_groups=4,
            sample_size=SIDE_PX,
            latent_channels=4,
        )
    model.save_pretrained(path)
    return path


def prior(folder: Path, block: int = 1, side_px: int = 0, size_px: int = SIZE_PX) -> DecoderPrior:
    return DecoderPrior(folder, "cpu", block=block, side_px=side_px, size_px=size_px)


def matching(folder: Path) -> LatentMatching:
    return LatentMatching(
        small_inputs(size_px=SIZE_PX), SETTINGS, "convnet-3", prior(folder, block=2), Progress()
    )


@pytest.mark.parametrize("block", range(4))
def test_without_an_offset_the_image_is_the_decoded_latent(folder: Path, block: int) -> None:
    made = prior(folder, block, size_px=SIDE_PX)
    images = [np.random.default_rng(row).integers(0, 255, (40, 50, 3)).astype(np.uint8) for row in range(3)]
    latents = made.encode(images)
    assert latents.shape == (3, 4, 8, 8)
    expected = Autoencoder.load(folder).pixels(latents).double()
    found = made.render(latents, made.features(latents)).double() * STD + MEAN
    bound = rounding(depth(AutoencoderKL.from_pretrained(folder)), largest=float(expected.abs().max()))
    assert float((found - (expected + 1) / 2).abs().max()) <= bound


def test_the_gradients_are_those_of_the_whole_chain_in_float64(folder: Path) -> None:
    """The gradient at the images, passed through the prior in chunks, against one graph of everything."""
    made = matching(folder)
    images = made._render()
    _, gradient = made._matching.gradient(images, 1)
    found = made._through_the_prior(gradient)
    precise = prior(folder, block=2)
    precise._model = precise._model.double()
    leaves = {name: leaf.double().requires_grad_() for name, leaf in made._leaves.items()}
    rendered = precise.render(leaves["latents"], leaves["features"])
    expected = torch.autograd.grad(rendered, list(leaves.values()), gradient.double())
    for name, own in zip(leaves, expected, strict=True):
        assert float(own.abs().max()) > 0, name
        bound = rounding(3 * depth(precise._model.decoder), largest=float(own.abs().max()))
        assert float((found[name].double() - own).abs().max()) <= bound, name


def test_both_leaves_are_updated_with_momentum(folder: Path) -> None:
    made = matching(folder)
    leaves = {name: leaf.clone() for name, leaf in made._leaves.items()}
    speed = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    rates = {"latents": SETTINGS.lr_latents, "features": SETTINGS.lr_features}
    for iteration in (1, 2):
        _, gradient = made._matching.gradient(made._render(), iteration)
        gradients = made._through_the_prior(gradient)
        for name in leaves:
            speed[name] = SETTINGS.momentum * speed[name] + gradients[name]
            leaves[name] = leaves[name] - rates[name] * speed[name]
        made.step(iteration)
        for name, leaf in leaves.items():
            largest = float(leaf.abs().max() + speed[name].abs().max())
            assert float((made._leaves[name] - leaf).abs().max()) <= rounding(8, largest=largest)


def test_chunks_give_the_gradients_of_all_images_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = matching(folder)
    gradient = torch.randn(made._render().shape, generator=torch.Generator().manual_seed(0))
    together = made._through_the_prior(gradient)
    monkeypatch.setattr(latent_matching, "CHUNK", 1)
    for name, alone in made._through_the_prior(gradient).items():
        bound = rounding(3 * depth(prior(folder)._model.decoder), largest=float(alone.abs().max()))
        assert float((together[name] - alone).abs().max()) <= bound


def test_a_restored_state_continues_with_the_same_bytes(folder: Path) -> None:
    whole, resumed = matching(folder), matching(folder)
    whole.step(1)
    resumed.restore({name: tensor.clone() for name, tensor in whole.state().items()})
    for made in (whole, resumed):
        made.step(2)
    assert torch.equal(whole.images(), resumed.images())


@pytest.mark.parametrize(
    ("changes", "got", "allowed"),
    [({"block": 4}, 4, "0 to 3"), ({"side_px": 30}, 30, "a multiple of 4")],
)
def test_a_prior_that_does_not_fit_is_refused(
    folder: Path, changes: dict[str, int], got: int, allowed: str
) -> None:
    with pytest.raises(UvlpError) as caught:
        prior(folder, **changes)
    assert caught.value.got == got and caught.value.allowed == allowed
    assert "glad." in caught.value.what
