"""The mapping network, against its equations in float64."""

from __future__ import annotations

import math

import numpy as np
import torch

from tests.models.stylegan_xl.small_generators import generator


def activated(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 0.2 * values) * math.sqrt(2)


def normalised(values: np.ndarray) -> np.ndarray:
    return values / np.sqrt((values**2).mean(axis=1, keepdims=True) + 1e-8)


def test_latents_are_those_of_the_equations() -> None:
    mapping = generator().mapping
    state = {name: tensor.numpy() for name, tensor in mapping.state_dict().items()}
    random = np.random.default_rng(0).normal(size=(5, 4))
    classes = [3, 3, 999, 0, 17]

    def layer(values: np.ndarray, name: str, rate: float) -> np.ndarray:
        weight = state[f"{name}.weight"] * rate / math.sqrt(values.shape[1])
        return activated(values @ weight.T + state[f"{name}.bias"] * rate)

    embedded = layer(state["embed.weight"][classes], "embed_proj", 1.0)
    expected = np.concatenate([normalised(random), normalised(embedded)], axis=1)
    for index in range(2):
        expected = layer(expected, f"fc{index}", 0.01)
    found = mapping(torch.from_numpy(random), torch.tensor(classes)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_the_length_of_the_random_vector_is_irrelevant_and_the_class_is_not() -> None:
    mapping = generator().mapping
    random = torch.randn(1, 4, dtype=torch.float64)
    first, longer = mapping(random, torch.tensor([5])), mapping(3 * random, torch.tensor([5]))
    torch.testing.assert_close(first, longer, rtol=1e-6, atol=1e-6)
    assert float((first - mapping(random, torch.tensor([6]))).abs().max()) > 1e-3
