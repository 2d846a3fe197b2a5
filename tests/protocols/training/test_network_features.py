"""Features of a network trained on the complete training set: from its best checkpoint, in file order."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.tolerances import depth, rounding
from uvlp.core.progress import Progress
from uvlp.protocols import minimax
from uvlp.protocols.training import augment
from uvlp.protocols.training.images import Images, Prepared, prepare, resize_and_crop
from uvlp.protocols.training.network_features import network_features
from uvlp.recipes.evaluation import EvaluateSettings

SETTINGS = EvaluateSettings(size_px=16, width=8, epochs_full=3, validations=3, flip=0.0)


@pytest.fixture(scope="module")
def images() -> Images:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 80, (24, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(24) % 2
    pixels[labels == 1, :8] += 150
    return Images(pixels=list(pixels), labels=labels)


@pytest.fixture(scope="module")
def validation(images: Images) -> Prepared:
    return Prepared(pixels=prepare(images.pixels, 16, resize_and_crop), labels=images.labels)


def test_the_features_are_those_of_the_best_checkpoint(
    images: Images, validation: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = iter([50.0, 100.0, 75.0])
    states: list[dict[str, torch.Tensor]] = []
    network = minimax.build("resnet-ap-10", 2, SETTINGS, 0)

    def accuracy(correct: torch.Tensor) -> float:
        states.append({name: value.clone() for name, value in network.state_dict().items()})
        return next(passes)

    monkeypatch.setattr("uvlp.protocols.training.loop.percent", accuracy)
    found = network_features(
        network,
        "resnet-ap-10",
        images,
        validation,
        classes=2,
        settings=SETTINGS,
        seed=0,
        device="cpu",
        progress=Progress(),
    )
    best: Any = minimax.build("resnet-ap-10", 2, SETTINGS, 1)
    best.load_state_dict(states[1])
    with torch.inference_mode():
        expected = best.eval().embed(augment.normalise(validation.pixels))
    assert found.shape == (24, 64) and found.dtype == np.float32
    bound = rounding(depth(best), largest=expected.abs().max().item())  # the batches differ
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=bound)
    assert np.abs(found - features(states[2], validation)).max() > 2 * bound, "not those of the last one"


def features(state: dict[str, torch.Tensor], validation: Prepared) -> np.ndarray:
    network: Any = minimax.build("resnet-ap-10", 2, SETTINGS, 1)
    network.load_state_dict(state)
    with torch.inference_mode():
        return network.eval().embed(augment.normalise(validation.pixels)).numpy()
